use std::fmt;
use std::sync::{Mutex, PoisonError};

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::normalisation::normalised;

/// OWASP's first choice for Argon2id without parallelism: 19 MiB, two passes
/// (<https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html>).
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// The most memory that a stored hash may ask for, in KiB: 128 MiB. No password matches a hash that asks for more.
pub const MAX_MEMORY_KIB: u32 = 128 * 1024;

/// The most work that a stored hash may ask for: its memory in KiB times its passes. No password matches a hash that
/// asks for more. This is seven times the work of one that this crate made.
pub const MAX_WORK_KIB: u64 = 4 * 64 * 1024;

/// A hash that no password matches, with our parameters. A password is checked against it if there is no usable hash.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdC4uLg$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What is stored of a password: a PHC string
/// (<https://github.com/P-H-C/phc-string-format/blob/master/phc-sf-spec.md>).
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// The PHC string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn of(password: &[u8]) -> Result<Self, HashError> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|_| HashError("no random bytes".to_owned()))?;
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(argon2_failed)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut hash = [0; Params::DEFAULT_OUTPUT_LEN];
        run(&argon2, password, &salt, &mut hash).map_err(argon2_failed)?;
        Ok(Self(format!(
            "$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${}${}",
            STANDARD_NO_PAD.encode(salt),
            STANDARD_NO_PAD.encode(hash)
        )))
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// Why a password could not be hashed; says nothing of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashError(String);

impl fmt::Display for HashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for HashError {}

fn argon2_failed(error: argon2::Error) -> HashError {
    HashError(error.to_string())
}

/// Whether `typed` is the password behind `hash`, a PHC string of Argon2.
///
/// No password matches if there is no hash, or one that is not Argon2's or asks for more than [`MAX_MEMORY_KIB`] or
/// [`MAX_WORK_KIB`]. This takes as long as a check against a hash of ours. See [the crate](crate#what-a-check-costs).
#[must_use]
pub fn is_password_of(hash: Option<&str>, typed: &str) -> bool {
    let stored = hash.and_then(StoredHash::parse);
    let is_known = stored.is_some();
    let matches = stored
        .or_else(|| StoredHash::parse(NOBODY))
        .is_some_and(|hash| hash.is_of(normalised(typed).as_bytes()));
    matches && is_known
}

/// An Argon2 hash of bounded cost.
struct StoredHash {
    argon2: Argon2<'static>,
    salt: phc::Salt,
    output: phc::Output,
}

impl StoredHash {
    /// `None` for a hash that cannot be computed, so that every parsed hash costs one run of Argon2.
    fn parse(hash: &str) -> Option<Self> {
        let hash = phc::PasswordHash::new(hash).ok()?;
        let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
        let version = match hash.version {
            Some(version) => Version::try_from(version).ok()?,
            // Hashes older than the field have no version, according to the reference implementation's decoder.
            None => Version::V0x10,
        };
        let params = Params::try_from(&hash).ok()?;
        let work = u64::from(params.m_cost()) * u64::from(params.t_cost());
        if params.m_cost() > MAX_MEMORY_KIB || work > MAX_WORK_KIB {
            return None;
        }
        Some(Self {
            argon2: Argon2::new(algorithm, version, params),
            salt: hash.salt?,
            output: hash.hash?,
        })
    }

    fn is_of(&self, password: &[u8]) -> bool {
        let mut buffer = [0; phc::Output::MAX_LENGTH];
        let Some(output) = buffer.get_mut(..self.output.len()) else {
            return false;
        };
        // In constant time, as phc documents.
        run(&self.argon2, password, &self.salt, output).is_ok()
            && phc::Output::new(output).is_ok_and(|output| output == self.output)
    }
}

/// Runs Argon2 in memory that the first call allocates and later calls reuse, so that neither they nor the start pay
/// for it. A hash that needs more memory than our own gets it separately, and it is freed.
fn run(argon2: &Argon2, password: &[u8], salt: &[u8], hash: &mut [u8]) -> argon2::Result<()> {
    static MEMORY: Mutex<Vec<Block>> = Mutex::new(Vec::new());
    #[cfg(test)]
    tests::note_run(argon2.params());

    let blocks = argon2.params().block_count();
    if blocks > MEMORY_KIB as usize {
        return argon2.hash_password_into(password, salt, hash);
    }
    let mut memory = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    if memory.len() < blocks {
        memory.resize(blocks, Block::default());
    }
    argon2.hash_password_into_with_memory(password, salt, hash, memory.as_mut_slice())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by a panic")]
mod tests {
    use std::cell::RefCell;

    use proptest::prelude::*;

    use super::*;
    use crate::Password;

    /// Memory, passes and lanes of a run of Argon2.
    type Run = (u32, u32, u32);

    const OURS: Run = (MEMORY_KIB, PASSES, LANES);

    thread_local! {
        static RUNS: RefCell<Vec<Run>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn note_run(params: &Params) {
        let run = (params.m_cost(), params.t_cost(), params.p_cost());
        RUNS.with_borrow_mut(|runs| runs.push(run));
    }

    /// The answer, and how Argon2 ran for it.
    fn check(hash: Option<&str>, typed: &str) -> (bool, Vec<Run>) {
        RUNS.take();
        let answer = is_password_of(hash, typed);
        (answer, RUNS.take())
    }

    fn hash(password: &str) -> PasswordHash {
        Password::parse(password, &[]).unwrap().hash().unwrap()
    }

    #[test]
    fn a_hash_is_a_phc_string_with_owasps_parameters_and_a_salt_of_its_own() {
        let password = Password::parse("correct horse battery staple", &[]).unwrap();

        let (one, two) = (password.hash().unwrap(), password.hash().unwrap());

        assert!(one.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_ne!(one, two);
        assert_ne!(one.as_str().rsplit_once('$'), two.as_str().rsplit_once('$'));
    }

    #[test]
    fn a_typed_password_is_that_of_its_hash_from_any_keyboard_and_of_no_other() {
        let hash = hash("gr\u{fc}ne B\u{e4}ume");

        assert!(is_password_of(
            Some(hash.as_str()),
            "gru\u{308}ne Ba\u{308}ume"
        ));
        assert!(!is_password_of(Some(hash.as_str()), "gr\u{fc}ne B\u{e4}um"));
        assert!(!is_password_of(Some(hash.as_str()), ""));
    }

    /// From `src/test.c` of <https://github.com/P-H-C/phc-winner-argon2>.
    #[test]
    fn hashes_of_the_reference_implementation_are_verified() {
        for hash in [
            "$argon2i$m=256,t=2,p=1$c29tZXNhbHQ$/U3YPXYsSb3q9XxHvc0MLxur+GP960kN9j7emXX8zwY",
            "$argon2i$m=65536,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ",
            "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
        ] {
            assert!(is_password_of(Some(hash), "password"), "{hash}");
            assert!(!is_password_of(Some(hash), "passwort"), "{hash}");
        }
    }

    #[test]
    fn a_check_against_our_hash_costs_one_hash_right_or_wrong() {
        let hash = hash("correct horse battery");

        assert_eq!(
            check(Some(hash.as_str()), "correct horse battery"),
            (true, vec![OURS])
        );
        assert_eq!(check(Some(hash.as_str()), "wrong"), (false, vec![OURS]));
    }

    #[test]
    fn what_is_no_argon2_hash_costs_as_much_as_a_hash_of_ours() {
        for hash in [
            None,
            Some(""),
            Some("$"),
            Some("!"),
            Some("password"),
            Some("$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"),
            Some("scrypt:32768:8:1$sa1tsa1tsa1t$7f2e9d0c"),
            Some("pbkdf2:sha256:600000$sa1tsa1tsa1t$7f2e9d0c"),
            Some("$scrypt$ln=15,r=8,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA"),
            Some("$argon2id$v=19$m=19456,t=2,p=1"),
            Some("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ"),
            Some("$argon2id$v=19$m=19456,t=2,p=1$c2hvcnQ$AAAAAAAAAAAAAAAAAAAAAA"),
            Some("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$AAAA"),
            Some("$argon2id$v=18$m=19456,t=2,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA"),
            Some("$argon2x$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA"),
            Some("$argon2id$v=19$m=7,t=2,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA"),
            Some("$argon2id$v=19$m=64,t=2,p=9$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA"),
            Some("$argon2id$v=19$m=19456,t=0,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA"),
            Some("$argon2id$v=19$m=19456,t=2,p=0$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA"),
            Some("$argon2id$v=19$m=19456,t=2,p=1,x=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA"),
            Some("$argon2id$v=19$m=-1,t=2,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA"),
        ] {
            assert_eq!(check(hash, "password"), (false, vec![OURS]), "{hash:?}");
        }
    }

    #[test]
    fn a_hash_that_would_hang_or_exhaust_the_process_is_taken_for_none() {
        for params in [
            "m=4194304,t=1,p=1",
            "m=4294967295,t=4294967295,p=16777215",
            "m=19456,t=1000000,p=1",
            "m=8,t=4294967295,p=1",
            "m=131073,t=1,p=1",
            "m=65536,t=5,p=1",
            "m=131072,t=3,p=1",
        ] {
            let hash = format!("$argon2id$v=19${params}$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA");

            assert_eq!(
                check(Some(&hash), "password"),
                (false, vec![OURS]),
                "{hash}"
            );
        }
    }

    #[test]
    fn defaults_of_other_libraries_are_within_the_bounds() {
        for (m, t, p) in [
            // argon2-cffi and passlib, now and before; PHP; the most of both bounds; OWASP's choices.
            (65_536, 3, 4),
            (102_400, 2, 8),
            (65_536, 4, 1),
            (131_072, 2, 1),
            (47_104, 1, 1),
            (12_288, 3, 1),
            (9_216, 4, 1),
            (7_168, 5, 1),
        ] {
            let hash =
                format!("$argon2id$v=19$m={m},t={t},p={p}$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA");

            assert_eq!(
                check(Some(&hash), "password"),
                (false, vec![(m, t, p)]),
                "{hash}"
            );
        }
    }

    #[test]
    fn the_hash_of_nobody_is_nobodys() {
        let parsed = StoredHash::parse(NOBODY).unwrap();

        assert!(!parsed.is_of(b""));
        assert_eq!(parsed.output.len(), Params::DEFAULT_OUTPUT_LEN);
    }

    #[test]
    fn nothing_of_a_hash_is_printed() {
        assert_eq!(
            format!("{:?}", hash("correct horse battery staple")),
            "PasswordHash(..)"
        );
    }

    #[test]
    fn a_failure_of_argon2_is_told_in_its_words() {
        let error = argon2_failed(argon2::Error::OutOfMemory);

        assert_eq!(error.to_string(), argon2::Error::OutOfMemory.to_string());
        assert!(!error.to_string().is_empty());
    }

    /// Text that looks like a hash.
    fn hash_like() -> impl Strategy<Value = String> {
        let number = || prop_oneof![Just(String::new()), "[0-9]{1,3}", "-?[0-9]{1,20}"];
        let params = (
            number(),
            number(),
            number(),
            "|,data=[a-zA-Z0-9+/]{0,44}|,keyid=[a-z]{0,12}",
        );
        let params = params.prop_map(|(m, t, p, more)| format!("m={m},t={t},p={p}{more}"));
        let base64 = "[a-zA-Z0-9+/]{0,100}";

        (
            "\\$argon2(id?|d)",
            "|\\$v=(19|16|[0-9]{0,10})",
            params,
            base64,
            base64,
        )
            .prop_map(|(algorithm, version, params, salt, output)| {
                format!("{algorithm}{version}${params}${salt}${output}")
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_text_as_a_hash_costs_one_run_of_bounded_work(
            hash in prop_oneof![any::<String>(), hash_like()],
            typed in any::<String>(),
        ) {
            let (answer, runs) = check(Some(&hash), &typed);

            prop_assert!(!answer);
            prop_assert_eq!(runs.len(), 1);
            let (memory, passes, _) = runs.first().unwrap();
            prop_assert!(*memory <= MAX_MEMORY_KIB);
            prop_assert!(u64::from(*memory) * u64::from(*passes) <= MAX_WORK_KIB);
        }
    }
}
