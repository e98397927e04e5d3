//! A small file system of its own, to be filled or closed to writes; root alone can have one.

use std::path::{Path, PathBuf};
use std::process::Command;

/// In memory; gone when dropped.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where nothing can be mounted.
    pub fn mount(at: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let size = format!("size={size}");
        let mut command = Command::new("mount");
        let done = command.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output();
        let disk = done.ok().filter(|output| output.status.success()).map(|_| Self(at.into()));
        if disk.is_none() {
            println!("no file system can be mounted here: only root may");
        }
        disk
    }

    /// "ro" or "rw".
    pub fn remount(&self, mode: &str) {
        let mode = format!("remount,{mode}");
        let done = Command::new("mount").args(["-o", &mode]).arg(&self.0).status();
        assert!(done.unwrap().success(), "{mode}");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
