//! A request to the service, sent as the event that API Gateway would make of it.

use local::answer::Answer;
use local::event::{self, DEFAULT_STAGE, Route, Source};
use local::gateway;
use serde_json::Value;

use crate::World;

/// A request that is being put together; [`Request::send`] sends it.
#[must_use]
pub struct Request<'a> {
    world: &'a World,
    http: event::Request,
    source: Source,
    stage: String,
    function: Option<String>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(world: &'a World, method: &str, path: &str) -> Self {
        let base = world.base_url();
        let path = path.strip_prefix(base).unwrap_or(path);
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let host = base.split('/').nth(2).unwrap_or_default();
        let source_ip = "203.0.113.7";
        let headers = [
            ("host", host),
            (
                "x-amzn-trace-id",
                "Root=1-5759e988-bd862e3fe1be46a994272793",
            ),
            ("x-forwarded-for", source_ip),
            ("x-forwarded-port", "443"),
            ("x-forwarded-proto", "https"),
        ];
        let http = event::Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            body: Vec::new(),
            source_ip: source_ip.to_owned(),
        };
        Self {
            world,
            http,
            source: Source::HttpApi,
            stage: DEFAULT_STAGE.to_owned(),
            function: None,
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.http.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends the cookie that an earlier answer has set, as the same browser would.
    pub fn browser_of(self, answer: &Answer) -> Self {
        match answer.cookie() {
            Some(cookie) => self.header("cookie", cookie),
            None => self,
        }
    }

    /// Replaces a header that [`World::request`] has set, such as `host`.
    pub fn replace_header(mut self, name: &str, value: &str) -> Self {
        self.http
            .headers
            .retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self.header(name, value)
    }

    /// Sets the body, without a content type.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.http.body = body.into();
        self
    }

    /// Sets a form as the body.
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        self.header("content-type", "application/x-www-form-urlencoded")
            .body(form)
    }

    /// Sets JSON as the body.
    pub fn json(self, json: &Value) -> Self {
        self.header("content-type", "application/json")
            .body(json.to_string())
    }

    /// Chooses the kind of event; without this, an HTTP API's payload 2.0.
    pub fn source(mut self, source: Source) -> Self {
        self.source = source;
        self
    }

    /// Sends it through a named stage; without this, `$default`.
    pub fn stage(mut self, stage: &str) -> Self {
        stage.clone_into(&mut self.stage);
        self
    }

    /// Sends it to this function, whatever the path; without this, the path's route decides.
    pub fn function(mut self, name: &str) -> Self {
        self.function = Some(name.to_owned());
        self
    }

    /// The function and the event that [`Request::send`] would send.
    #[must_use]
    pub fn event(&self) -> (String, Value) {
        let routed = gateway::route(&self.http.path);
        let function = match (&self.function, &routed) {
            (Some(function), _) => function.clone(),
            (None, Some((_, function))) => (*function).to_owned(),
            (None, None) => panic!("no route for {}: name the function", self.http.path),
        };
        let route = routed.map_or_else(
            || Route {
                resource: self.http.path.clone(),
                parameters: Vec::new(),
            },
            |(route, _)| route,
        );
        (function, self.http.event(self.source, &self.stage, &route))
    }

    /// Sends it and returns the answer; fails the test if the function gives none.
    pub async fn send(self) -> Answer {
        let (function, event) = self.event();
        self.world.invoke(&function, &event).await
    }

    /// Sends it and returns the answer, or why there is none.
    ///
    /// # Errors
    ///
    /// The function's failure.
    pub async fn try_send(self) -> Result<Answer, local::Error> {
        let (function, event) = self.event();
        self.world.try_invoke(&function, &event).await
    }
}
