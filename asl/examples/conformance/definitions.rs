//! Owns a folder of definitions whose names say whether they are valid.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Outcome;

/// Parses each definition of a folder.
pub fn run(folder: &Path) -> Result<Vec<Outcome>, String> {
    let in_folder = |error| format!("{}: {error}", folder.display());
    let entries = fs::read_dir(folder).map_err(in_folder)?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "json")
    });
    paths.sort();
    let outcomes = paths.iter().map(|path| {
        let text = fs::read_to_string(path).map_err(in_folder)?;
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let name = file.trim_end_matches(".json").trim_end_matches(".asl");
        let parsed = asl::parse(&text);
        let errors: Vec<String> = parsed
            .diagnostics
            .iter()
            .map(ToString::to_string)
            .filter(|said| said.starts_with("error"))
            .collect();
        let wrong = match (name.starts_with("valid-"), errors.is_empty()) {
            (true, false) => Some(errors.join("; ")),
            (false, true) => Some("nothing is found wrong".to_owned()),
            _ => None,
        };
        Ok(Outcome {
            name: file.into_owned(),
            wrong,
        })
    });
    outcomes.collect()
}
