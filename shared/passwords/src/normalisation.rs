use icu_normalizer::ComposingNormalizerBorrowed;

/// Normalisation form C, as RFC 8265 (`OpaqueString`) asks.
pub(crate) fn normalised(text: &str) -> String {
    ComposingNormalizerBorrowed::new_nfc()
        .normalize(text)
        .into_owned()
}
