//! Command lines: `--name value`, `--name=value`, switches and words. Owns their errors; knows no command's options.

use std::str::FromStr;

use anyhow::{Context, bail};

/// What follows a command's name, taken apart option by option; [`Arguments::finish`] refuses what is left.
#[derive(Debug)]
pub struct Arguments {
    command: &'static str,
    words: Vec<String>,
}

impl Arguments {
    /// The words after `cargo xtask COMMAND`.
    pub fn new(command: &'static str, words: impl IntoIterator<Item = String>) -> Self {
        Arguments {
            command,
            words: words.into_iter().collect(),
        }
    }

    /// Whether `--help` or `-h` is among the words; then prints `usage`.
    pub fn help(&self, usage: &str) -> bool {
        let asked = self
            .words
            .iter()
            .any(|word| word == "--help" || word == "-h");
        if asked {
            eprintln!("{}", usage.trim_end());
        }
        asked
    }

    /// Takes a switch such as `--once`.
    pub fn switch(&mut self, name: &str) -> bool {
        let before = self.words.len();
        self.words.retain(|word| word != name);
        self.words.len() != before
    }

    /// Takes every value of an option that may be given several times, in order.
    pub fn values(&mut self, name: &str) -> anyhow::Result<Vec<String>> {
        let mut values = Vec::new();
        let mut rest = Vec::new();
        let mut words = std::mem::take(&mut self.words).into_iter();
        while let Some(word) = words.next() {
            if word == name {
                let value = words.next().filter(|value| !value.starts_with("--"));
                values.push(value.with_context(|| format!("{name} needs a value"))?);
            } else if let Some(value) = word.strip_prefix(&format!("{name}=")) {
                values.push(value.to_owned());
            } else {
                rest.push(word);
            }
        }
        self.words = rest;
        Ok(values)
    }

    /// Takes an option that may be given once and turns its text into a `T`.
    pub fn value<T: FromStr>(&mut self, name: &str) -> anyhow::Result<Option<T>> {
        let mut values = self.values(name)?;
        if values.len() > 1 {
            bail!("{name} was given {} times; give it once", values.len());
        }
        values
            .pop()
            .map(|text| {
                text.parse()
                    .map_err(|_| anyhow::anyhow!("{text:?} is no valid value for {name}"))
            })
            .transpose()
    }

    /// Takes the first word that is no option.
    pub fn word(&mut self) -> Option<String> {
        let at = self.words.iter().position(|word| !word.starts_with('-'))?;
        Some(self.words.remove(at))
    }

    /// What no option took, for a program that reads it itself.
    pub fn rest(self) -> Vec<String> {
        self.words
    }

    /// Refuses what no option took.
    pub fn finish(self) -> anyhow::Result<()> {
        match self.words.first() {
            None => Ok(()),
            Some(word) => bail!(
                "{word:?} is not understood; `cargo xtask {} --help` lists the options",
                self.command
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> Arguments {
        Arguments::new("demo", line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_switches_and_words_mix_in_any_order() {
        let mut given = arguments("--file a.mp4 --once --port=9000 word --file=b.mp4");
        assert_eq!(given.values("--file").unwrap(), ["a.mp4", "b.mp4"]);
        assert_eq!(given.value::<u16>("--port").unwrap(), Some(9000));
        assert!(given.switch("--once"));
        assert_eq!(given.word().as_deref(), Some("word"));
        given.finish().unwrap();
    }

    #[test]
    fn mistakes_are_named() {
        let message = |error: anyhow::Error| error.to_string();
        assert_eq!(
            message(arguments("--port x").value::<u16>("--port").unwrap_err()),
            "\"x\" is no valid value for --port"
        );
        assert_eq!(
            message(arguments("--file --once").values("--file").unwrap_err()),
            "--file needs a value"
        );
        assert_eq!(
            message(
                arguments("--port 1 --port 2")
                    .value::<u16>("--port")
                    .unwrap_err()
            ),
            "--port was given 2 times; give it once"
        );
        assert_eq!(
            message(arguments("--prot 1").finish().unwrap_err()),
            "\"--prot\" is not understood; `cargo xtask demo --help` lists the options"
        );
    }
}
