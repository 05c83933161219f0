//! Socket.IO's own server, if it can be had here.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The oldest Node that is measured.
const NODE: u32 = 20;

/// The script that runs it, with its packages installed; else what is missing.
pub fn find() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/fanout/node");
    let version = Command::new("node").arg("--version").output();
    let version = version.map_err(|_| "there is no node".to_owned())?.stdout;
    let version = String::from_utf8_lossy(&version);
    let major = version.trim_start_matches('v').split('.').next();
    if major
        .and_then(|m| m.parse().ok())
        .is_none_or(|m: u32| m < NODE)
    {
        return Err(format!("it takes node {NODE}, this is {}", version.trim()));
    }
    if !folder.join("node_modules/socket.io").exists() {
        install(&folder)?;
    }
    Ok(folder.join("server.js"))
}

fn install(folder: &Path) -> Result<(), String> {
    eprintln!("npm ci in {}", folder.display());
    let npm = Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund", "--silent"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status();
    match npm {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("npm ci can't install its packages".to_owned()),
        Err(_) => Err("there is no npm".to_owned()),
    }
}
