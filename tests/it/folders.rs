//! The disk is touched in the allowed folders only: no path, link, name or device leads anywhere else, and none hangs.
#![cfg(unix)]

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::files::{Disk, deliver, with_disk};
use crate::rig::{Client, Rig};

const SECRET: &str = "what must not leave";

/// A disk full of ways out, and paths that take them.
async fn besieged() -> (Rig, Disk, Vec<String>) {
    let (rig, disk) = with_disk().await;
    let root = disk.root();
    let beside = disk.0.join("beside");
    fs::create_dir_all(beside.join("deep")).unwrap();
    fs::write(beside.join("secret.txt"), SECRET).unwrap();
    fs::create_dir(disk.0.join("allowed-not")).unwrap();
    fs::write(disk.0.join("allowed-not/secret.txt"), SECRET).unwrap();
    for name in [
        ".env",
        ".env.local",
        ".ssh/id_ed25519",
        "sub/.aws/credentials",
        ".git/config",
        "server.pem",
        "tls.KEY",
        ".mcp.json",
        "sub/.claude.json",
        "id_rsa",
    ] {
        disk.put(name, SECRET.as_bytes());
    }
    symlink("../beside", root.join("way-out")).unwrap();
    symlink(&beside, root.join("absolute-way-out")).unwrap();
    symlink("../beside/secret.txt", root.join("out.txt")).unwrap();
    symlink(".env", root.join("innocent.txt")).unwrap();
    symlink("/dev/zero", root.join("zero")).unwrap();
    symlink("round", root.join("round")).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(root.join("pipe"))
        .status();
    assert!(made.unwrap().success());
    drop(std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap());
    let absolute = |path: &Path| path.display().to_string();
    let mut paths = vec![
        absolute(&beside.join("secret.txt")),
        absolute(&root.join("../beside/secret.txt")),
        absolute(&disk.0.join("allowed-not/secret.txt")),
        format!("{}/./../beside/secret.txt", root.display()),
        absolute(&root.join("out.txt")),
        "x".repeat(300),
        "a/".repeat(3000),
    ];
    paths.extend(
        [
            "../beside/secret.txt",
            "sub/../../beside/secret.txt",
            "..",
            "/etc/passwd",
            "/",
            "",
            ".",
            "sub",
            "sub/",
            "way-out/secret.txt",
            "absolute-way-out/secret.txt",
            "out.txt",
            "innocent.txt",
            "zero",
            "round",
            "pipe",
            "socket",
            "/dev/zero",
            "/dev/tty",
            "/proc/self/environ",
            "/proc/self/fd/0",
            "/dev/stdin",
            "~/.ssh/id_rsa",
            "file:///etc/passwd",
            "C:\\Windows\\win.ini",
            "\\\\host\\share",
            "nul\0byte",
            "no-such-file",
            "pipe/x",
            ".env",
            ".env.local",
            ".ssh/id_ed25519",
            "sub/.aws/credentials",
            ".git/config",
            "server.pem",
            "tls.KEY",
            ".mcp.json",
            "sub/.claude.json",
            "id_rsa",
            "%2e%2e/beside/secret.txt",
            "..\\beside\\secret.txt",
        ]
        .map(str::to_owned),
    );
    (rig, disk, paths)
}

/// Everything on the disk with what is in it.
fn everything(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let met = fs::symlink_metadata(&path).unwrap();
        if met.is_dir() {
            found.extend(everything(&path));
        }
        let content = if met.is_file() {
            fs::read(&path).unwrap()
        } else {
            Vec::new()
        };
        found.push((path, content));
    }
    found.sort();
    found
}

async fn refused(client: &Client, tool: &'static str, arguments: Value) -> String {
    let called = client.call(tool, arguments.clone()).await;
    let called = called.within(Duration::from_secs(5));
    assert!(called.is_error, "{arguments}: {}", called.text);
    assert!(!called.text.contains(SECRET), "{}", called.text);
    called.err()
}

#[tokio::test]
async fn no_path_uploads_anything_from_outside() {
    let (rig, _disk, paths) = besieged().await;
    let client = rig.client().await;
    assert!(paths.len() > 40);
    for path in paths {
        refused(&client, "upload_file", json!({"path": path})).await;
    }
    assert!(rig.bodies("POST", "/v1/files").is_empty());
}

#[tokio::test]
async fn no_directory_leads_a_download_outside() {
    let (rig, disk, mut paths) = besieged().await;
    let client = rig.client().await;
    let (_, files) = deliver(&client, "[deliver] go").await;
    // Those are folders, or may become some.
    let fine = [
        "",
        ".",
        "sub",
        "sub/",
        "no-such-file",
        "C:\\Windows\\win.ini",
        "\\\\host\\share",
        "..\\beside\\secret.txt",
    ];
    paths.retain(|path| !fine.contains(&path.as_str()));
    paths.retain(|path| {
        !path.starts_with("~/") && !path.starts_with("file:") && !path.starts_with("%2e")
    });
    let folders = [
        "../beside",
        "way-out",
        "absolute-way-out",
        "way-out/deep",
        "way-out/new",
        "new/../../beside",
        ".ssh",
        ".git/hooks",
        "sub/.aws",
        "new/.claude",
    ];
    paths.extend(folders.map(str::to_owned));
    let before = everything(&disk.0);
    for path in &paths {
        let arguments =
            json!({"file_id": files[0]["file_id"], "directory": path, "overwrite": true});
        refused(&client, "download_file", arguments).await;
    }
    assert!(everything(&disk.0) == before);
    for path in fine {
        let arguments =
            json!({"file_id": files[0]["file_id"], "directory": path, "overwrite": true});
        let saved = client.call("download_file", arguments).await.ok();
        let path = Path::new(saved["saved"][0]["path"].as_str().unwrap());
        assert!(path.starts_with(disk.root()) && path.is_file(), "{path:?}");
    }
}

#[tokio::test]
async fn whatever_a_file_is_called_it_is_saved_in_its_folder() {
    let (rig, disk) = with_disk().await;
    let client = rig.client().await;
    let (id, files) = deliver(&client, "[deliver_hostile] go").await;
    let arguments = json!({"session_id": id, "directory": "results"});
    let all = client.call("download_file", arguments).await.ok();
    assert_eq!(all["failed"], json!([]), "{all}");
    let saved = all["saved"].as_array().unwrap();
    assert_eq!(
        (saved.len(), disk.names().len()),
        (files.len(), files.len())
    );
    for file in saved {
        let path = Path::new(file["path"].as_str().unwrap());
        assert_eq!(path.parent().unwrap(), disk.root().join("results"));
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(!name.starts_with(['.', '-']) && name.len() <= 124, "{name}");
        assert!(
            !name
                .chars()
                .any(|c| c.is_control() || c == '\u{202e}' || c == '\u{200b}'),
            "{name:?}"
        );
        assert!(
            fs::read_to_string(path)
                .unwrap()
                .starts_with("Simulated: name ")
        );
    }
    let names = disk.names();
    for name in [
        "results/passwd",
        "results/_con",
        "results/rf",
        "results/same.txt",
        "results/same (2).txt",
        "results/ssh",
    ] {
        let is_there = names.iter().any(|there| there.eq_ignore_ascii_case(name));
        assert!(is_there, "{name} in {names:?}");
    }
}

#[tokio::test]
async fn a_relative_path_that_means_two_files_is_asked_back() {
    let (one, two) = (Disk::new(), Disk::new());
    let roots = std::env::join_paths([one.root(), two.root(), PathBuf::from("/no/such/folder")]);
    let rig = Rig::start().await;
    let rig = rig.set(
        "MANAGED_AGENTS_FILE_ROOTS",
        roots.unwrap().into_string().unwrap(),
    );
    let client = rig.client().await;
    one.put("both.txt", b"1");
    two.put("both.txt", b"2");
    two.put("only/two.txt", b"2");
    let text = refused(&client, "upload_file", json!({"path": "both.txt"})).await;
    for disk in [&one, &two] {
        let path = disk.root().join("both.txt");
        assert!(text.contains(path.to_str().unwrap()), "{text}");
        let _ = client.call("upload_file", json!({"path": path})).await.ok();
    }
    let _ = client
        .call("upload_file", json!({"path": "only/two.txt"}))
        .await
        .ok();
    let text = refused(&client, "upload_file", json!({"path": "none.txt"})).await;
    assert!(text.contains(one.root().to_str().unwrap()), "{text}");
    let text = refused(&client, "upload_file", json!({"path": "/no/such/folder/x"})).await;
    assert!(text.contains("/no/such/folder cannot be opened"), "{text}");
}

#[tokio::test]
async fn a_file_beyond_the_limit_is_refused_before_a_byte_is_sent() {
    let (rig, disk) = with_disk().await;
    let client = rig.client().await;
    let file = File::create(disk.root().join("huge.bin")).unwrap();
    file.set_len(500_000_001).unwrap();
    let text = refused(&client, "upload_file", json!({"path": "huge.bin"})).await;
    assert!(text.contains("500 MB"), "{text}");
    assert!(rig.bodies("POST", "/v1/files").is_empty());
}

#[tokio::test]
async fn a_root_that_is_everything_still_hides_the_kernel_and_the_keys() {
    let rig = Rig::start().await.set("MANAGED_AGENTS_FILE_ROOTS", "/");
    let client = rig.client().await;
    for path in [
        "/proc/self/environ",
        "/proc/self/mem",
        "/dev/zero",
        "/dev/stdin",
        "proc/self/maps",
        "/",
        "/root/.ssh/id_rsa",
    ] {
        refused(&client, "upload_file", json!({"path": path})).await;
    }
    assert!(rig.bodies("POST", "/v1/files").is_empty());
}
