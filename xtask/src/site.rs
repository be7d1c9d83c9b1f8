//! What a browser loads, under `target/site`: `pkg/app.js`, `pkg/app_bg.wasm`, `style.css` and the other files of
//! `style/`, each with a `.br` sibling (RFC 7932). Makes only what its input changed.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, anyhow};
use lightningcss::bundler::{Bundler, FileProvider};
use lightningcss::stylesheet::{MinifyOptions, ParserOptions, PrinterOptions};
use sha2::{Digest, Sha256};
use wasm_bindgen_cli_support::Bindgen;

use crate::project;

/// Makes the script and module of the browser half from the compiled `app.wasm`.
pub fn bind(wasm: &Path) -> anyhow::Result<()> {
    let folder = project::site().join("pkg");
    let bytes = fs::read(wasm).with_context(|| format!("{} cannot be read", wasm.display()))?;
    let fingerprint = hexadecimal(&Sha256::digest(&bytes));
    // Beside the site and not beside the module: modules of two profiles take turns in one site.
    let stamp = project::site().with_extension("bound");
    let done = fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == fingerprint)
        && ["app.js.br", "app_bg.wasm.br"]
            .iter()
            .all(|name| folder.join(name).exists());
    if done {
        return Ok(());
    }
    let _ = fs::remove_file(&stamp);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let mut bindgen = Bindgen::new();
    bindgen
        .input_bytes("app", bytes)
        .web(true)?
        .typescript(false)
        .remove_name_section(true)
        .remove_producers_section(true);
    bindgen
        .generate(&folder)
        .context("wasm-bindgen refused the module")?;
    compress_all(&folder)?;
    fs::write(stamp, fingerprint)?;
    Ok(())
}

/// Makes `style.css` from `style/main.css` and what it imports, and copies the other files of `style/`.
pub fn style() -> anyhow::Result<()> {
    let source = project::root().join("style");
    let files = FileProvider::new();
    let css = Bundler::new(&files, None, ParserOptions::default())
        .bundle(&source.join("main.css"))
        .map_err(|error| anyhow!("style: {error}"))
        .and_then(|mut sheet| {
            sheet
                .minify(MinifyOptions::default())
                .map_err(|error| anyhow!("style: {error}"))?;
            let options = PrinterOptions {
                minify: true,
                ..PrinterOptions::default()
            };
            sheet
                .to_css(options)
                .map_err(|error| anyhow!("style: {error}"))
        })?;
    write_both(&project::site().join("style.css"), css.code.as_bytes())?;
    for entry in fs::read_dir(&source)? {
        let path = entry?.path();
        if path.is_file() && path.extension().is_none_or(|extension| extension != "css") {
            let name = path.file_name().expect("an entry of a folder has a name");
            write_both(&project::site().join(name), &fs::read(&path)?)?;
        }
    }
    Ok(())
}

fn compress_all(folder: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            compress_all(&path)?;
        } else {
            fs::write(sibling(&path), compressed(&fs::read(&path)?)?)?;
        }
    }
    Ok(())
}

/// Writes a file and its compressed sibling, unless the file already says the same.
fn write_both(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let sibling = sibling(path);
    if sibling.exists() && fs::read(path).is_ok_and(|present| present == content) {
        return Ok(());
    }
    fs::create_dir_all(
        path.parent()
            .expect("a file of the site lies in its folder"),
    )?;
    fs::write(path, content)?;
    fs::write(sibling, compressed(content)?)?;
    Ok(())
}

fn sibling(path: &Path) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".br");
    name.into()
}

fn compressed(content: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut compressed = Vec::new();
    // Quality 11 of 11, a window of 4 MiB: made once, downloaded often.
    let mut writer = brotli::CompressorWriter::new(&mut compressed, 64 * 1024, 11, 22);
    writer.write_all(content)?;
    writer.flush()?;
    drop(writer);
    Ok(compressed)
}

/// Lower-case hexadecimal.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
