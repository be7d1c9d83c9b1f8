//! Says what is found in definitions: `cargo run -p asl --example diagnose -- FILE…`.
//!
//! Prints `valid` or `invalid` and the file's name in a line, then each diagnostic, indented. Fails if a
//! file cannot be read, not if it is invalid.

use std::process::ExitCode;

fn main() -> ExitCode {
    for file in std::env::args().skip(1) {
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) => {
                eprintln!("{file}: {error}");
                return ExitCode::FAILURE;
            }
        };
        let parsed = asl::parse(&text);
        let verdict = if parsed.is_valid() {
            "valid"
        } else {
            "invalid"
        };
        println!("{verdict} {file}");
        for diagnostic in parsed.diagnostics {
            println!("  {diagnostic}");
        }
    }
    ExitCode::SUCCESS
}
