//! Owns the functions that come with the language: their names, signatures, and where they are.
//!
//! The list is that of JSONata 2.0.6, which AWS supports, with AWS's own and without `$eval`.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html>

use std::collections::HashMap;
use std::sync::OnceLock;

use super::ast::Name;
use super::error::Error;
use super::evaluate::Evaluator;
use super::signature::Signature;
use super::value::Value;

mod array;
mod calendar;
mod date;
mod decimal_picture;
mod higher_order;
mod integer_picture;
mod matching;
mod number;
mod object;
mod picture;
mod states;
mod string;
mod timestamp;
mod url;
mod words;

/// A function that comes with the language.
pub(super) struct Native {
    pub(super) name: &'static str,
    signature: &'static str,
    /// How many arguments a higher-order function gives it at most.
    pub(super) arity: usize,
    pub(super) run: Run,
}

/// Gets the arguments as its signature says.
type Run = fn(&mut Evaluator<'_>, &[Value]) -> Result<Value, Error>;

/// A function with its parsed signature.
pub(super) struct Builtin {
    pub(super) native: Native,
    pub(super) signature: Signature,
}

impl std::fmt::Debug for Builtin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.native.name)
    }
}

const fn native(name: &'static str, signature: &'static str, arity: usize, run: Run) -> Native {
    Native {
        name,
        signature,
        arity,
        run,
    }
}

fn all() -> Vec<Native> {
    vec![
        native("sum", "<a<n>:n>", 1, number::sum),
        native("count", "<a:n>", 1, array::count),
        native("max", "<a<n>:n>", 1, number::max),
        native("min", "<a<n>:n>", 1, number::min),
        native("average", "<a<n>:n>", 1, number::average),
        native("string", "<x-b?:s>", 1, string::string),
        native("substring", "<s-nn?:s>", 3, string::substring),
        native("substringBefore", "<s-s:s>", 2, string::substring_before),
        native("substringAfter", "<s-s:s>", 2, string::substring_after),
        native("lowercase", "<s-:s>", 1, string::lowercase),
        native("uppercase", "<s-:s>", 1, string::uppercase),
        native("length", "<s-:n>", 1, string::length),
        native("trim", "<s-:s>", 1, string::trim),
        native("pad", "<s-ns?:s>", 3, string::pad),
        native("match", "<s-f<s:o>n?:a<o>>", 3, matching::matches),
        native("contains", "<s-(sf):b>", 2, matching::contains),
        native("replace", "<s-(sf)(sf)n?:s>", 4, matching::replace),
        native("split", "<s-(sf)n?:a<s>>", 3, matching::split),
        native("join", "<a<s>s?:s>", 2, string::join),
        native(
            "formatNumber",
            "<n-so?:s>",
            3,
            decimal_picture::format_number,
        ),
        native("formatBase", "<n-n?:s>", 2, number::format_base),
        native(
            "formatInteger",
            "<n-s:s>",
            2,
            integer_picture::format_integer,
        ),
        native("parseInteger", "<s-s:n>", 2, integer_picture::parse_integer),
        native("number", "<(nsb)-:n>", 1, number::number),
        native("floor", "<n-:n>", 1, number::floor),
        native("ceil", "<n-:n>", 1, number::ceil),
        native("round", "<n-n?:n>", 2, number::round),
        native("abs", "<n-:n>", 1, number::abs),
        native("sqrt", "<n-:n>", 1, number::sqrt),
        native("power", "<n-n:n>", 2, number::power),
        native("boolean", "<x-:b>", 1, object::boolean),
        native("not", "<x-:b>", 1, object::not),
        native("map", "<af>", 2, higher_order::map),
        native("zip", "<a+>", 0, array::zip),
        native("filter", "<af>", 2, higher_order::filter),
        native("single", "<af?>", 2, higher_order::single),
        native("reduce", "<afj?:j>", 3, higher_order::reduce),
        native("sift", "<o-f?:o>", 2, higher_order::sift),
        native("each", "<o-f:a>", 2, higher_order::each),
        native("sort", "<af?:a>", 2, higher_order::sort),
        native("keys", "<x-:a<s>>", 1, object::keys),
        native("lookup", "<x-s:x>", 2, object::lookup),
        native("spread", "<x-:a<o>>", 1, object::spread),
        native("merge", "<a<o>:o>", 1, object::merge),
        native("exists", "<x:b>", 1, object::exists),
        native("type", "<x:s>", 1, object::type_of),
        native("clone", "<(oa)-:o>", 1, object::clone),
        native("error", "<s?:x>", 1, object::error),
        native("assert", "<bs?:x>", 2, object::assert),
        native("append", "<xx:a>", 2, array::append),
        native("reverse", "<a:a>", 1, array::reverse),
        native("shuffle", "<a:a>", 1, array::shuffle),
        native("distinct", "<x:x>", 1, array::distinct),
        native("base64encode", "<s-:s>", 1, url::base64encode),
        native("base64decode", "<s-:s>", 1, url::base64decode),
        native("encodeUrlComponent", "<s-:s>", 1, url::encode_component),
        native("encodeUrl", "<s-:s>", 1, url::encode),
        native("decodeUrlComponent", "<s-:s>", 1, url::decode_component),
        native("decodeUrl", "<s-:s>", 1, url::decode),
        native("toMillis", "<s-s?:n>", 2, timestamp::to_millis),
        native("fromMillis", "<n-s?s?:s>", 3, timestamp::from_millis),
        native("now", "<s?s?:s>", 2, timestamp::now),
        native("millis", "<:n>", 0, timestamp::millis),
        native("partition", "<an:a>", 2, states::partition),
        native("range", "<nnn:a>", 3, states::range),
        native("hash", "<ss?:s>", 2, states::hash),
        native("random", "<n?:n>", 1, states::random),
        native("uuid", "<:s>", 0, states::uuid),
        native("parse", "<s:x>", 1, states::parse),
        native("eval", "<sx?:x>", 2, states::eval),
    ]
}

/// The function of a name.
pub(super) fn find(name: &str) -> Option<&'static Builtin> {
    static BUILTINS: OnceLock<HashMap<&'static str, Builtin>> = OnceLock::new();
    let builtins = BUILTINS.get_or_init(|| {
        let builtins = all().into_iter().filter_map(|native| {
            let signature = Signature::parse(native.signature).ok()?;
            Some((native.name, Builtin { native, signature }))
        });
        builtins.collect()
    });
    builtins.get(name)
}

/// An argument; undefined if it is not given.
fn argument(arguments: &[Value], index: usize) -> &Value {
    arguments.get(index).unwrap_or(&Value::Undefined)
}

/// An argument that is a text.
fn text(arguments: &[Value], index: usize) -> Option<&Name> {
    argument(arguments, index).as_text()
}

/// An argument that is a number.
fn number(arguments: &[Value], index: usize) -> Result<Option<f64>, Error> {
    argument(arguments, index).as_number()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signature_is_one() {
        for native in all() {
            assert!(find(native.name).is_some(), "{}", native.name);
        }
    }
}
