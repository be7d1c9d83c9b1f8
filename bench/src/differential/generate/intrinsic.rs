//! Calls of intrinsic functions. What chance decides stands only where its value does not show.

use super::{Generator, Kind, Shape};

/// Calls that must fail with `States.IntrinsicFailure`.
pub const FAILING_CALLS: [&str; 8] = [
    "States.ArrayGetItem($.texts, 9)",
    "States.StringToJson('{')",
    "States.ArrayLength('text')",
    "States.Hash('text', 'MD4')",
    "States.ArrayPartition($.numbers, 0)",
    "States.Format('{}')",
    "States.JsonMerge($.o, 1, false)",
    "States.ArrayGetItem($.nothing, 0)",
];

impl Generator {
    /// A call and what it gives; none if nothing suits.
    pub fn intrinsic(&mut self, shape: &Shape, depth: usize) -> Option<(String, Kind)> {
        if !self.safe && self.chance(6) {
            return Some(((*self.one_of(&FAILING_CALLS)).to_owned(), Kind::Unknown));
        }
        Some(match self.below(20) {
            0 => {
                let (a, b) = (self.scalar(shape)?, self.scalar(shape)?);
                (
                    format!("States.Format('{{}} \\'is\\' {{}}', {a}, {b})"),
                    Kind::Text,
                )
            }
            1 => {
                let a = self.argument(shape, Kind::Text, depth)?;
                (
                    format!("States.Format('<{{}}> \\{{ö\\}}', {a})"),
                    Kind::Text,
                )
            }
            2 => {
                let path = self.plain_path(shape, Kind::Json)?;
                (format!("States.StringToJson({path})"), Kind::Unknown)
            }
            3 => {
                let kind = *self.one_of(&[
                    Kind::Numbers,
                    Kind::Text,
                    Kind::Flag,
                    Kind::Number,
                    Kind::Null,
                ]);
                let path = self.plain_path(shape, kind)?;
                (format!("States.JsonToString({path})"), Kind::Text)
            }
            4 => {
                let (a, b) = (self.scalar(shape)?, self.plain_path(shape, Kind::Unknown)?);
                (
                    format!("States.Array({a}, {b}, 7, 'l', true, null)"),
                    Kind::List,
                )
            }
            5 => {
                let list = self.list_argument(shape, depth)?;
                let size = 1 + self.below(3);
                (format!("States.ArrayPartition({list}, {size})"), Kind::List)
            }
            6 => {
                let (list, what) = (self.list_argument(shape, depth)?, self.scalar(shape)?);
                (format!("States.ArrayContains({list}, {what})"), Kind::Flag)
            }
            7 => {
                let ranges = ["1, 9, 2", "5, 1, -2", "0, 3, 1", "-3, 3, 3", "1, 9, 3"];
                (
                    format!("States.ArrayRange({})", self.one_of(&ranges)),
                    Kind::Numbers,
                )
            }
            8 => {
                let list = self.known_path(shape, Kind::Numbers)?.0;
                (list == "$.numbers").then_some(())?;
                let at = self.below(3);
                (format!("States.ArrayGetItem({list}, {at})"), Kind::Number)
            }
            9 => {
                let list = self.list_argument(shape, depth)?;
                (format!("States.ArrayLength({list})"), Kind::Number)
            }
            10 => {
                let list = self.list_argument(shape, depth)?;
                (format!("States.ArrayUnique({list})"), Kind::List)
            }
            11 => {
                let text = self.argument(shape, Kind::Text, depth)?;
                (format!("States.Base64Encode({text})"), Kind::Text)
            }
            12 => {
                let text = *self.one_of(&["R3LDvMOfZQ==", "YWI=", "YWI", "% Y W I ="]);
                (format!("States.Base64Decode('{text}')"), Kind::Text)
            }
            13 => {
                let algorithm = *self.one_of(&["MD5", "SHA-1", "SHA-256", "SHA-384", "SHA-512"]);
                let text = self.argument(shape, Kind::Text, depth)?;
                (format!("States.Hash({text}, '{algorithm}')"), Kind::Text)
            }
            14 => {
                let (a, b) = (
                    self.plain_path(shape, Kind::Object)?,
                    self.plain_path(shape, Kind::Object)?,
                );
                (format!("States.JsonMerge({a}, {b}, false)"), Kind::Object)
            }
            15 => (
                "States.ArrayContains(States.Array(3, 4), States.MathRandom(3, 5))".to_owned(),
                Kind::Flag,
            ),
            16 | 17 => {
                let a = self.argument(shape, Kind::Number, depth)?;
                let b = *self.one_of(&["1", "-7", "2.5", "0", "1.4"]);
                (format!("States.MathAdd({a}, {b})"), Kind::Number)
            }
            18 => {
                let text = self.argument(shape, Kind::Text, depth)?;
                let by = *self.one_of(&[",", ",;", "-", "."]);
                (format!("States.StringSplit({text}, '{by}')"), Kind::Texts)
            }
            _ => (
                "States.ArrayLength(States.StringSplit(States.UUID(), '-'))".to_owned(),
                Kind::Number,
            ),
        })
    }

    /// A path that is surely there.
    fn plain_path(&mut self, shape: &Shape, kind: Kind) -> Option<String> {
        Some(self.known_path(shape, kind)?.0)
    }

    /// A number, text or flag, written out or by its path.
    fn scalar(&mut self, shape: &Shape) -> Option<String> {
        let literals = ["1", "-2.5", "'text'", "true", "false", "null", "'it\\'s'"];
        if self.chance(30) {
            return Some((*self.one_of(&literals)).to_owned());
        }
        let kind = *self.one_of(&[Kind::Number, Kind::Text, Kind::Flag]);
        self.plain_path(shape, kind)
    }

    fn argument(&mut self, shape: &Shape, kind: Kind, depth: usize) -> Option<String> {
        if depth < 3
            && self.chance(25)
            && let Some((call, given)) = self.intrinsic(shape, depth + 1)
            && given.is(kind)
        {
            return Some(call);
        }
        if self.chance(20) {
            let literal = if kind == Kind::Number {
                "4"
            } else {
                "'a, b-ü.'"
            };
            return Some(literal.to_owned());
        }
        self.plain_path(shape, kind)
    }

    fn list_argument(&mut self, shape: &Shape, depth: usize) -> Option<String> {
        if depth < 3
            && self.chance(25)
            && let Some((call, given)) = self.intrinsic(shape, depth + 1)
            && given.is(Kind::List)
        {
            return Some(call);
        }
        let list = self.plain_path(shape, Kind::List);
        list.or_else(|| Some("States.Array(1, 2, 1, 'a', 'a')".to_owned()))
    }
}
