//! All pages and mails in all languages, as `gallery` writes them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::world::built;

/// A folder with the gallery. It is removed when this is dropped.
pub struct Gallery {
    folder: PathBuf,
}

impl Gallery {
    /// Writes it; fails the test if that fails.
    #[must_use]
    pub fn write() -> Self {
        Self::write_with(&[])
    }

    /// Writes it with these settings.
    #[must_use]
    pub fn write_with(settings: &[(&str, &str)]) -> Self {
        let name = format!("gallery-{}-{:p}", std::process::id(), &settings);
        let folder = std::env::temp_dir().join(name);
        let program = built().join("gallery");
        let written = Command::new(&program)
            .arg(&folder)
            .envs(settings.iter().copied())
            .status()
            .unwrap_or_else(|error| {
                panic!(
                    "{}: {error}: run `cargo build --workspace` first",
                    program.display()
                )
            });
        assert!(written.success());
        Self { folder }
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The tags of its languages, each the name of a folder.
    #[must_use]
    pub fn languages(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.folder).unwrap();
        let folders = entries
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_type().unwrap().is_dir());
        let mut tags: Vec<_> = folders
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        tags.sort();
        tags
    }

    /// The pages and mails of a language, each with its name.
    #[must_use]
    pub fn documents(&self, language: &str) -> Vec<(String, String)> {
        let entries = std::fs::read_dir(self.folder.join(language)).unwrap();
        let mut documents: Vec<_> = entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "html")
            })
            .filter(|path| !path.ends_with("index.html"))
            .map(|path| {
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                (name, std::fs::read_to_string(&path).unwrap())
            })
            .collect();
        documents.sort();
        documents
    }
}

impl Drop for Gallery {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
