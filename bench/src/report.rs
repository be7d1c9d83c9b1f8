//! What a benchmark found, as the one line of JSON that it ends with.

use serde_json::{Value, json};

/// A measurement and its comparison. More is better.
pub struct Report {
    pub name: &'static str,
    pub value: f64,
    pub unit: &'static str,
    /// Who was compared with, and the ratio ours to theirs; none when the peer could not be run.
    pub peer: Option<(String, f64)>,
    /// The ratio that is wanted.
    pub goal: f64,
}

impl Report {
    /// The line. Without a peer there is no ratio, and whether the goal is met stays unknown.
    pub fn line(&self) -> Value {
        let ratio = self.peer.as_ref().map(|(_, ratio)| *ratio);
        json!({
            "name": self.name,
            "value": rounded(self.value),
            "unit": self.unit,
            "peer": self.peer.as_ref().map(|(name, _)| name),
            "ratio": ratio.map(rounded),
            "goal": self.goal,
            "met": ratio.map(|ratio| ratio >= self.goal),
        })
    }
}

/// Three decimals below 1,000, whole numbers above.
fn rounded(value: f64) -> f64 {
    if value >= 1000.0 {
        value.round()
    } else {
        (value * 1000.0).round() / 1000.0
    }
}

/// The middle value; the mean of the two middle ones where there are two.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[length / 2],
        length => (values[length / 2 - 1] + values[length / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_peer_nothing_is_claimed() {
        let mut report = Report {
            name: "x",
            value: 1234.5,
            unit: "1/s",
            peer: None,
            goal: 2.0,
        };
        assert_eq!(
            report.line(),
            json!({"name": "x", "value": 1235.0, "unit": "1/s", "peer": null, "ratio": null, "goal": 2.0, "met": null})
        );
        report.peer = Some(("other 1".to_owned(), 1.9999));
        assert_eq!(report.line()["met"], json!(false));
        assert_eq!(report.line()["ratio"], json!(2.0));
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
