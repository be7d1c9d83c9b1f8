//! Constraints on the members of a request, and how AWS words them when they are not kept.
//!
//! Owns the sentence "N validation errors detected: …" that AWS's front door answers before an operation looks
//! at anything. Refuses rules that need the store.
//! <https://smithy.io/2.0/spec/constraint-traits.html>

use std::fmt::Display;

use crate::wire::AwsError;

/// The constraints of one request that are not kept.
#[derive(Debug, Default)]
pub(super) struct Constraints(Vec<String>);

impl Constraints {
    /// A text's length in characters; nothing given is fine.
    pub(super) fn length(&mut self, member: &str, text: Option<&str>, least: usize, most: usize) {
        let Some(text) = text else { return };
        self.counted(member, Some(text), text.chars().count(), least, most);
    }

    /// The length of a text that AWS does not repeat, because it may hold secrets.
    pub(super) fn secret_length(
        &mut self,
        member: &str,
        text: Option<&str>,
        least: usize,
        most: usize,
    ) {
        let Some(text) = text else { return };
        self.counted(member, None, text.chars().count(), least, most);
    }

    /// The length in bytes of a text that AWS does not repeat.
    pub(super) fn bytes(&mut self, member: &str, text: Option<&str>, most: usize) {
        let Some(text) = text else { return };
        self.counted(member, None, text.len(), 0, most);
    }

    fn counted(
        &mut self,
        member: &str,
        shown: Option<&str>,
        length: usize,
        least: usize,
        most: usize,
    ) {
        if length < least {
            self.say(
                member,
                shown,
                format_args!("Member must have length greater than or equal to {least}"),
            );
        }
        if length > most {
            self.say(
                member,
                shown,
                format_args!("Member must have length less than or equal to {most}"),
            );
        }
    }

    /// How many elements a list has; `shown` is the list as AWS would print it.
    pub(super) fn count(
        &mut self,
        member: &str,
        shown: &str,
        count: usize,
        least: usize,
        most: usize,
    ) {
        self.counted(member, Some(shown), count, least, most);
    }

    /// A number's range.
    pub(super) fn range(&mut self, member: &str, number: Option<i64>, least: i64, most: i64) {
        let Some(number) = number else { return };
        let shown = number.to_string();
        if number < least {
            self.say(
                member,
                Some(&shown),
                format_args!("Member must have value greater than or equal to {least}"),
            );
        }
        if number > most {
            self.say(
                member,
                Some(&shown),
                format_args!("Member must have value less than or equal to {most}"),
            );
        }
    }

    /// One of a few values.
    pub(super) fn one_of(&mut self, member: &str, text: Option<&str>, values: &[&str]) {
        if let Some(text) = text
            && !values.contains(&text)
        {
            let values = values.join(", ");
            self.say(
                member,
                Some(text),
                format_args!("Member must satisfy enum value set: [{values}]"),
            );
        }
    }

    /// A regular expression that the caller has checked.
    pub(super) fn pattern(&mut self, member: &str, text: &str, fits: bool, pattern: &str) {
        if !fits {
            self.say(
                member,
                Some(text),
                format_args!("Member must satisfy regular expression pattern: {pattern}"),
            );
        }
    }

    fn say(&mut self, member: &str, shown: Option<&str>, constraint: impl Display) {
        let value = shown.map_or_else(String::new, |shown| format!(" '{shown}'"));
        self.0.push(format!(
            "Value{value} at '{member}' failed to satisfy constraint: {constraint}"
        ));
    }

    /// Errors with `ValidationException` unless every constraint is kept.
    pub(super) fn check(self) -> Result<(), AwsError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let plural = if self.0.len() == 1 { "" } else { "s" };
        Err(AwsError::validation(format!(
            "{} validation error{plural} detected: {}",
            self.0.len(),
            self.0.join("; ")
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_constraint_is_named() {
        let mut constraints = Constraints::default();
        constraints.length("name", Some(""), 1, 80);
        constraints.secret_length("input", Some("secret"), 0, 5);
        constraints.range("weight", Some(101), 0, 100);
        constraints.one_of("type", Some("FAST"), &["STANDARD", "EXPRESS"]);
        constraints.length("description", None, 1, 2);
        let said = constraints.check().unwrap_err().message;
        assert_eq!(
            said,
            "4 validation errors detected: Value '' at 'name' failed to satisfy constraint: Member must have length greater than or equal to 1; Value at 'input' failed to satisfy constraint: Member must have length less than or equal to 5; Value '101' at 'weight' failed to satisfy constraint: Member must have value less than or equal to 100; Value 'FAST' at 'type' failed to satisfy constraint: Member must satisfy enum value set: [STANDARD, EXPRESS]"
        );
    }

    #[test]
    fn kept_constraints_say_nothing() {
        let mut constraints = Constraints::default();
        constraints.length("name", Some("ä"), 1, 1);
        constraints.range("weight", Some(100), 0, 100);
        assert!(constraints.check().is_ok());
    }
}
