//! What the service is called and where it stands on the web.

use addresses::EmailAddress;
use url::Url;

use crate::challenge::Widget;
use crate::settings::{self, Environment, InvalidSetting};
use crate::texts::Language;

/// The default of `ACCENT_COLOR`.
const ACCENT_COLOR: u32 = 0x1d_4e_d8;

/// The public face of the service. None of it is ever taken from a request.
#[derive(Clone)]
pub struct Site {
    /// Shown in pages and mails.
    pub app_name: String,
    /// The address behind "Questions? Comments?".
    pub support_email: String,
    /// Where a browser goes after signing up.
    pub index_url: String,
    /// Where a browser goes once its address is confirmed.
    pub sign_in_url: String,
    /// The language for a request that asks for none of ours.
    pub language: Language,
    /// The colour of buttons and links: `#rrggbb`.
    pub accent_color: String,
    /// The colour of links on a dark background.
    pub accent_on_dark: String,
    /// An image above pages and mails.
    pub logo_url: Option<Url>,
    /// The challenge in forms.
    pub widget: Option<Widget>,
    base_url: String,
    base_path: String,
    origin: String,
    allowed_origins: Vec<String>,
}

impl Site {
    /// Reads `BASE_URL`, `APP_NAME`, `SUPPORT_EMAIL` (by default the `sender`), `INDEX_URL`, `SIGN_IN_URL`, `ALLOWED_ORIGINS`,
    /// `LANGUAGE`, `ACCENT_COLOR` and `LOGO_URL`.
    pub fn from_env(
        environment: &Environment,
        sender: &str,
        widget: Option<Widget>,
    ) -> Result<Self, InvalidSetting> {
        const BASE_URL: &str =
            "the public http(s) origin of the links, perhaps with a path: https://myapp.com";
        const COLOR: &str =
            "a colour as #rrggbb on which white text has a contrast of 4.5:1 or more";
        const LANGUAGE: &str = "a language of the service: en, or another that its texts are in";
        let base = environment.required("BASE_URL", BASE_URL, |value| {
            settings::web_url(value).filter(|url| url.query().is_none() && url.fragment().is_none())
        })?;
        let host = base.host_str().unwrap_or_default().to_owned();
        let base_path = base.path().trim_end_matches('/').to_owned();
        let origin = base.origin().ascii_serialization();
        let base_url = format!("{origin}{base_path}");

        let page = |variable, path| {
            let url =
                environment.optional(variable, "an absolute http(s) URL", settings::web_url)?;
            Ok(url.map_or_else(|| format!("{base_url}{path}"), String::from))
        };
        let address = |value: &str| {
            let parsed = EmailAddress::parse(value).ok();
            parsed.map(|_| value.trim().to_owned())
        };
        let app_name =
            environment.optional("APP_NAME", "one line of text", settings::plain_text)?;
        let support = environment.optional("SUPPORT_EMAIL", "a mail address", address)?;
        let accent_color = environment.optional("ACCENT_COLOR", COLOR, accent_color)?;
        let accent_color = accent_color.unwrap_or(ACCENT_COLOR);
        let logo = |value: &str| settings::web_url(value).filter(|url| url.scheme() == "https");
        Ok(Self {
            app_name: app_name.unwrap_or(host),
            support_email: support.unwrap_or_else(|| sender.to_owned()),
            index_url: page("INDEX_URL", "/accounts/created")?,
            sign_in_url: page("SIGN_IN_URL", "/accounts/confirmed")?,
            allowed_origins: allowed_origins(environment)?,
            language: environment
                .optional("LANGUAGE", LANGUAGE, Language::from_tag)?
                .unwrap_or_default(),
            accent_on_dark: hex(lighter(accent_color)),
            accent_color: hex(accent_color),
            logo_url: environment.optional("LOGO_URL", "an https URL of an image", logo)?,
            widget,
            base_url,
            base_path,
            origin,
        })
    }

    /// Whether the service is reached by TLS.
    pub fn is_secure(&self) -> bool {
        self.origin.starts_with("https:")
    }

    /// The public URL of a path of ours, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    /// The path of `BASE_URL`: empty, or with a slash before and none after it.
    pub fn base_path(&self) -> &str {
        &self.base_path
    }

    /// Whether `origin` is the one that `BASE_URL` names.
    pub fn is_own_origin(&self, origin: &str) -> bool {
        origin == self.origin
    }

    /// Whether `origin` is in `ALLOWED_ORIGINS`.
    pub fn allows_origin(&self, origin: &str) -> bool {
        self.allowed_origins.iter().any(|allowed| allowed == origin)
    }
}

#[cfg(test)]
impl Site {
    pub(crate) fn example() -> Self {
        let (index_url, sign_in_url) = (
            "https://myapp.com/welcome".to_owned(),
            "https://id.myapp.com/sign-in".to_owned(),
        );
        Self {
            app_name: "My <App>".to_owned(),
            support_email: "support@myapp.com".to_owned(),
            language: Language::En,
            accent_color: hex(ACCENT_COLOR),
            accent_on_dark: hex(lighter(ACCENT_COLOR)),
            logo_url: None,
            widget: None,
            index_url,
            sign_in_url,
            base_url: "https://myapp.com".to_owned(),
            base_path: String::new(),
            origin: "https://myapp.com".to_owned(),
            allowed_origins: vec!["https://www.myapp.com".to_owned()],
        }
    }
}

fn allowed_origins(environment: &Environment) -> Result<Vec<String>, InvalidSetting> {
    const EXPECTED: &str =
        "origins, comma-separated: https://www.myapp.com,https://admin.myapp.com";
    let origins = environment.optional("ALLOWED_ORIGINS", EXPECTED, |value| {
        value
            .split(',')
            .map(|origin| parse_origin(origin.trim()))
            .collect()
    })?;
    Ok(origins.unwrap_or_default())
}

/// An origin as a browser sends it (RFC 6454, 6.2), so that both can be compared as text.
fn parse_origin(text: &str) -> Option<String> {
    let url = settings::web_url(text)?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    is_bare.then(|| url.origin().ascii_serialization())
}

/// `#rrggbb`, if white text on it can be read (WCAG 2.2, 1.4.3).
fn accent_color(value: &str) -> Option<u32> {
    let digits = value.strip_prefix('#')?;
    if digits.len() != 6 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let color = u32::from_str_radix(digits, 16).ok()?;
    (contrast(0xff_ff_ff, color) >= 4.5).then_some(color)
}

/// A tint of the colour: two fifths of it, the rest white. Any tint is readable on the dark background of pages and mails.
fn lighter(color: u32) -> u32 {
    let tint = |shift: u32| (((color >> shift & 0xff) * 2 + 0xff * 3) / 5) << shift;
    tint(16) | tint(8) | tint(0)
}

fn hex(color: u32) -> String {
    format!("#{color:06x}")
}

/// The contrast of two colours, the lighter one first.
fn contrast(light: u32, dark: u32) -> f64 {
    let luminance = |color: u32| {
        let channels = [(16, 0.2126), (8, 0.7152), (0, 0.0722)];
        let channels = channels.map(|(shift, weight)| weight * linear(color >> shift & 0xff));
        channels.iter().sum::<f64>()
    };
    (luminance(light) + 0.05) / (luminance(dark) + 0.05)
}

/// A channel of sRGB, 0 to 255, as light.
fn linear(channel: u32) -> f64 {
    let channel = f64::from(channel) / 255.0;
    if channel <= 0.040_45 {
        channel / 12.92
    } else {
        ((channel + 0.055) / 1.055).powf(2.4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_text_can_be_read_on_an_accent_color() {
        for good in ["#1d4ed8", "#000000", "#B91C1C", "#767676"] {
            assert_eq!(accent_color(good).map(hex), Some(good.to_ascii_lowercase()));
        }
        for bad in [
            "#ffffff", "#777777", "#60a5fa", "1d4ed8", "#1d4", "#1d4ed8;", "red", "#+d4ed8",
        ] {
            assert_eq!(accent_color(bad), None, "{bad}");
        }
    }

    #[test]
    fn contrast_is_that_of_wcag() {
        for (color, expected) in [
            (0, 21.0),
            (0x0a_0a_0a, 19.8),
            (0x77_77_77, 4.48),
            (0xff_00_00, 4.0),
        ] {
            let contrast = contrast(0xff_ff_ff, color);
            assert!((contrast - expected).abs() < 0.01, "{color}: {contrast}");
        }
    }

    #[test]
    fn links_can_be_read_on_a_dark_ground_whatever_the_accent_color() {
        for color in [ACCENT_COLOR, 0, 0xff, 0xb9_1c_1c, 0x76_76_76, 0xff_00_00] {
            let on_card = contrast(lighter(color), 0x27_27_2a);
            assert!(on_card >= 4.5, "{}: {on_card}", hex(color));
        }
    }
}
