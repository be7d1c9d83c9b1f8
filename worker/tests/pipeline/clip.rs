//! Clips that ffmpeg makes for the tests.

use std::process::Command;

/// One clip's bytes; `arguments` are ffmpeg's inputs and encoders, `name` decides the container.
pub fn clip(name: &str, arguments: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(name);
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(arguments.split_whitespace())
        .arg(&file)
        .output()
        .expect("ffmpeg is installed");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    std::fs::read(&file).expect("the clip")
}

/// Picture and 5.1 sound, `seconds` long.
pub fn with_sound(size: &str, seconds: u32) -> Vec<u8> {
    clip(
        "clip.mp4",
        &format!(
            "-f lavfi -i testsrc2=size={size}:rate=24:duration={seconds} -f lavfi -i sine=frequency=440:duration={seconds} \
             -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac -ac 6 -movflags +faststart"
        ),
    )
}

/// 10-bit picture alone.
pub fn silent() -> Vec<u8> {
    clip(
        "clip.mkv",
        "-f lavfi -i testsrc2=size=640x360:rate=30:duration=2 -c:v libx264 -preset ultrafast -pix_fmt yuv420p10le",
    )
}

/// Sound alone.
pub fn sound() -> Vec<u8> {
    clip(
        "clip.mp3",
        "-f lavfi -i sine=frequency=440:duration=3 -c:a libmp3lame",
    )
}

/// A landscape picture that a player turns upright.
pub fn portrait() -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let upright = folder.path().join("upright.mp4");
    std::fs::write(&upright, with_sound("640x360", 2)).expect("a file");
    clip(
        "clip.mp4",
        &format!("-i {} -c copy -metadata:s:v:0 rotate=90", upright.display()),
    )
}
