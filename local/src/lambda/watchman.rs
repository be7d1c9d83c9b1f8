//! The process that outlives `local` for an instant, so that no sandbox does.
//!
//! Owns a shell that holds one end of a pipe: when this process ends, however it ends, the pipe closes
//! and the shell kills every process group that was not crossed off. A parent-death signal would reach
//! the sandbox's first process only, and not the ffmpeg it started.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

const SCRIPT: &str = r#"
trap '' INT TERM HUP
groups=
while read -r act group; do
  case $act in
    +) groups="$groups $group" ;;
    -) kept=
       for other in $groups; do [ "$other" = "$group" ] || kept="$kept $other"; done
       groups=$kept ;;
  esac
done
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
"#;

/// Watches over the sandboxes' process groups.
#[derive(Debug)]
pub struct Watchman {
    shell: Mutex<Child>,
}

impl Watchman {
    /// Starts the shell, in a group of its own so that the terminal's signals pass it by.
    pub fn start() -> std::io::Result<Watchman> {
        let shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Watchman {
            shell: Mutex::new(shell),
        })
    }

    /// From now on the group dies with this process.
    pub fn watch(&self, group: u32) {
        self.tell(&format!("+ {group}\n"));
    }

    /// The group is gone: its number may become somebody else's.
    pub fn cross_off(&self, group: u32) {
        self.tell(&format!("- {group}\n"));
    }

    fn tell(&self, line: &str) {
        let mut shell = self
            .shell
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let told = shell
            .stdin
            .as_mut()
            .map(|pipe| pipe.write_all(line.as_bytes()));
        if !matches!(told, Some(Ok(()))) {
            tracing::warn!("the watchman is gone: sandboxes may outlive a killed local");
        }
    }
}

impl Drop for Watchman {
    fn drop(&mut self) {
        let shell = self
            .shell
            .get_mut()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        drop(shell.stdin.take());
        let _ = shell.wait();
    }
}
