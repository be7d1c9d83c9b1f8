//! The words of a command line: options with values, and nothing that is not known.

use std::str::FromStr;

use anyhow::{Context, bail};

/// What is left of a command line.
pub struct Words(Vec<String>);

impl Words {
    pub fn new(words: impl Iterator<Item = String>) -> Words {
        Words(words.collect())
    }

    /// The value of an option; none where it is not given.
    pub fn value(&mut self, name: &str) -> anyhow::Result<Option<String>> {
        let Some(at) = self.0.iter().position(|word| word == name) else {
            return Ok(None);
        };
        self.0.remove(at);
        if at == self.0.len() {
            bail!("{name} needs a value");
        }
        Ok(Some(self.0.remove(at)))
    }

    /// The value of an option that is a number.
    pub fn number<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(
        &mut self,
        name: &str,
    ) -> anyhow::Result<Option<T>> {
        self.value(name)?
            .map(|text| {
                text.parse()
                    .with_context(|| format!("{name} is “{text}”, which is no such number"))
            })
            .transpose()
    }

    /// Refuses what nobody asked for.
    pub fn finish(self, usage: &str) -> anyhow::Result<()> {
        match self.0.first() {
            None => Ok(()),
            Some(word) => bail!("“{word}” is not understood; the words are: {usage}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_taken_and_what_is_left_is_refused() {
        let mut words = Words::new(["--jobs", "7", "more"].map(str::to_owned).into_iter());
        assert_eq!(words.number::<u64>("--jobs").unwrap(), Some(7));
        assert_eq!(words.value("--database").unwrap(), None);
        assert!(words.finish("--jobs").is_err());
        let mut words = Words::new(["--jobs".to_owned()].into_iter());
        assert!(words.value("--jobs").is_err());
    }
}
