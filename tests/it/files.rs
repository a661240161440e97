//! Files go in and out whole or not at all: uploaded, listed, saved, read in slices; through cuts, stalls and cancellations.
#![cfg(unix)]

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use managed_agents_mcp::simulator::{Acting, Fault, Kind};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::rig::{Client, Rig, session, until};

/// A folder of its own for one test, gone at its end.
pub(crate) struct Disk(pub(crate) PathBuf);

impl Disk {
    pub(crate) fn new() -> Disk {
        let name = format!("managed-agents-mcp-{}", uuid::Uuid::new_v4().simple());
        let disk = Disk(std::env::temp_dir().join(name));
        fs::create_dir_all(disk.root()).unwrap();
        disk
    }

    /// The only folder that the binary may touch.
    pub(crate) fn root(&self) -> PathBuf {
        self.0.join("allowed")
    }

    pub(crate) fn put(&self, name: &str, content: &[u8]) {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Everything in the folder, by its name there.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        collect(&self.root(), &self.root(), &mut names);
        names.sort();
        names
    }
}

fn collect(root: &Path, folder: &Path, names: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            collect(root, &path, names);
        } else {
            names.push(path.strip_prefix(root).unwrap().display().to_string());
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A rig whose binary may touch one folder.
pub(crate) async fn with_disk() -> (Rig, Disk) {
    let disk = Disk::new();
    let rig = Rig::start().await.set(
        "MANAGED_AGENTS_FILE_ROOTS",
        disk.root().display().to_string(),
    );
    (rig, disk)
}

/// A session whose agent delivered what the script says, and its files.
pub(crate) async fn deliver(client: &Client, script: &str) -> (String, Vec<Value>) {
    let id = session(&client.create(script, 40).await);
    let listed = client.call("list_files", json!({"session_id": id})).await;
    let files = listed.ok()["files"].as_array().unwrap().clone();
    (id, files)
}

fn uploads(rig: &Rig) -> usize {
    rig.bodies("POST", "/v1/files").len()
}

#[tokio::test]
async fn without_a_folder_the_disk_is_closed_and_says_who_opens_it() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let (id, files) = deliver(&client, "[deliver] go").await;
    let file = &files[0]["file_id"];
    for (tool, arguments) in [
        ("upload_file", json!({"path": "/etc/hostname"})),
        ("download_file", json!({"session_id": id})),
        (
            "download_file",
            json!({"file_id": file, "directory": "/tmp"}),
        ),
    ] {
        let text = client.call(tool, arguments).await.err();
        assert!(text.contains("MANAGED_AGENTS_FILE_ROOTS"), "{text}");
    }
    assert_eq!(uploads(&rig), 0);
    let arguments = json!({"file_id": file, "offset": 0});
    let slice = client.call("download_file", arguments).await.ok();
    assert_eq!(slice["text"], "Simulated result 1 (turn 1).\n");
}

#[tokio::test]
async fn a_file_is_uploaded_and_mounted() {
    let (rig, disk) = with_disk().await;
    let client = rig.client().await;
    disk.put("data/Übersicht.csv", b"a,b\n1,2\n");
    let path = disk.root().join("data/Übersicht.csv");
    for path in [path.to_str().unwrap(), "data/Übersicht.csv"] {
        let file = client.call("upload_file", json!({"path": path})).await.ok();
        assert_eq!(
            (&file["name"], &file["size_bytes"], &file["mime_type"]),
            (&json!("Übersicht.csv"), &json!(8), &json!("text/csv"))
        );
        let arguments =
            json!({"message": "go", "files": [{"file_id": file["file_id"]}], "wait_seconds": 20});
        let report = client.call("create_session", arguments).await.ok();
        let listed = client
            .call("list_files", json!({"session_id": report["session_id"]}))
            .await
            .ok();
        assert_eq!(listed["files"][0]["name"], "Übersicht.csv");
        assert_eq!(listed["files"][0]["downloadable"], false);
    }
    let arguments = json!({"path": "data/Übersicht.csv", "name": "../x/a:b\n\"c\".odd"});
    let file = client.call("upload_file", arguments).await.ok();
    assert_eq!(file["name"], "a_b _c_.odd");
    assert_eq!(
        rig.bodies("POST", "/v1/files")[2]["multipart"][0]["content_type"],
        Value::Null
    );
}

#[tokio::test]
async fn the_bytes_that_arrive_are_the_bytes_of_the_file() {
    let (rig, disk) = with_disk().await;
    let mut seed = 7_u32;
    let content: Vec<u8> = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    })
    .take(700_001)
    .collect();
    disk.put("noise.bin", &content);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let client = rig.client_through(&address).await;
    let (body, called) = tokio::join!(
        received(&listener),
        client.call("upload_file", json!({"path": "noise.bin"}))
    );
    assert_eq!(called.ok()["file_id"], "file_1");
    let text = String::from_utf8_lossy(&body);
    let (boundary, _) = text.split_once("\r\n").unwrap();
    let head = "Content-Disposition: form-data; name=\"file\"; filename=\"noise.bin\"";
    let head = format!("{boundary}\r\n{head}\r\n\r\n").into_bytes();
    let end = format!("\r\n{boundary}--\r\n").into_bytes();
    assert!(body == [head, content, end].concat());
}

/// The body of the next request that sends one, which is answered with a file; there is no list of files.
async fn received(listener: &TcpListener) -> Vec<u8> {
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    loop {
        socket.read_buf(&mut request).await.unwrap();
        let Some(at) = request.windows(4).position(|end| end == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8(request[..at].to_vec())
            .unwrap()
            .to_lowercase();
        if head.starts_with("get ") {
            request = request.split_off(at + 4);
            let none = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
            socket.write_all(none).await.unwrap();
            continue;
        }
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.expect("a length").parse().unwrap();
        while request.len() < at + 4 + length {
            socket.read_buf(&mut request).await.unwrap();
        }
        let answer = r#"{"id": "file_1", "filename": "noise.bin"}"#;
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{answer}",
            answer.len()
        );
        socket.write_all(answer.as_bytes()).await.unwrap();
        return request.split_off(at + 4);
    }
}

#[tokio::test]
async fn an_upload_that_may_have_arrived_is_looked_for_and_never_doubled() {
    let (rig, disk) = with_disk().await;
    let rig = rig.set("MANAGED_AGENTS_MAX_WAIT_SECONDS", "2");
    let client = rig.client().await;
    let acting = Acting::After;
    let failed = Kind::Status {
        code: 500,
        retry_after: None,
        acting,
        body: None,
    };
    let silent = Kind::Silence { after_bytes: 0 };
    // One name and one content again and again: only the newest is the one that was sent.
    disk.put("notes.txt", b"notes");
    let mut ids = Vec::new();
    for kind in [Kind::Drop { acting }, failed, silent, Kind::Garbage] {
        rig.fault("POST /v1/files", kind);
        let called = client
            .call("upload_file", json!({"path": "notes.txt"}))
            .await;
        let file = called.within(Duration::from_secs(6)).ok();
        ids.push(file["file_id"].as_str().unwrap().to_owned());
        assert_eq!(uploads(&rig), ids.len(), "sent once");
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
    rig.fault("POST /v1/files", Kind::Drop { acting });
    let blind = Kind::Status {
        code: 404,
        retry_after: None,
        acting: Acting::Before,
        body: None,
    };
    rig.always("GET /v1/files", blind);
    let text = client
        .call("upload_file", json!({"path": "notes.txt"}))
        .await
        .err();
    rig.simulator.clear_faults();
    assert!(text.contains("not known whether this arrived"), "{text}");
    assert!(text.contains("second copy"), "{text}");
    assert_eq!(uploads(&rig), 5, "nobody could look, so it was sent once");
    rig.fault(
        "POST /v1/files",
        Kind::Status {
            code: 413,
            retry_after: None,
            acting: Acting::Before,
            body: None,
        },
    );
    let text = client
        .call("upload_file", json!({"path": "notes.txt"}))
        .await
        .err();
    assert!(text.starts_with("Could not upload notes.txt"), "{text}");
}

#[tokio::test]
async fn what_was_written_last_is_in_the_list() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let report = client.create("[deliver 3] go", 40).await;
    let called = client
        .call("list_files", json!({"session_id": report["session_id"]}))
        .await;
    let listed = called.within(Duration::from_millis(5000)).ok();
    assert_eq!(listed["files"].as_array().unwrap().len(), 3, "{listed}");
    assert!(
        listed["next"].as_str().unwrap().contains("download_file"),
        "{listed}"
    );
    for file in listed["files"].as_array().unwrap() {
        assert_eq!(
            (&file["mime_type"], &file["downloadable"]),
            (&json!("text/plain"), &json!(true))
        );
        assert!(
            file["created_at"].is_string() && file["size_bytes"] == 29,
            "{file}"
        );
    }
}

#[tokio::test]
async fn a_list_says_when_it_may_grow_and_ends_even_if_its_pages_do_not() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let working = session(&client.create("[seconds 30] [deliver] go", 0).await);
    let called = client
        .call("list_files", json!({"session_id": working}))
        .await;
    let listed = called.within(Duration::from_secs(2)).ok();
    assert!(
        listed["next"].as_str().unwrap().contains("still works"),
        "{listed}"
    );
    let (many, files) = deliver(&client, "[deliver 250] go").await;
    assert!(files.len() < 250, "{} rows fit", files.len());
    let pages = || {
        rig.requests()
            .iter()
            .filter(|one| one.path == "/v1/files")
            .count()
    };
    let before = pages();
    rig.always("GET /v1/files", Kind::EndlessPage);
    let listed = client
        .call("list_files", json!({"session_id": many}))
        .await
        .ok();
    assert!(
        listed["next"].as_str().unwrap().contains("of 250 fit"),
        "{}",
        listed["next"]
    );
    assert!(pages() - before <= 8, "{} pages", pages() - before);
}

#[tokio::test]
async fn the_files_of_no_session_are_an_error_and_not_an_empty_list() {
    let (rig, _disk) = with_disk().await;
    let client = rig.client().await;
    for tool in ["list_files", "download_file"] {
        let none = json!({"session_id": "sesn_none"});
        let text = client.call(tool, none).await.err();
        assert!(text.contains("sesn_none"), "{text}");
    }
    let silent = session(&client.create("go", 30).await);
    for tool in ["list_files", "download_file"] {
        let empty = client.call(tool, json!({"session_id": silent})).await.ok();
        let next = empty["next"].as_str().unwrap();
        assert!(next.contains("/mnt/session/outputs/"), "{empty}");
    }
}

#[tokio::test]
async fn files_are_saved_where_they_were_wanted() {
    let (rig, disk) = with_disk().await;
    let client = rig.client().await;
    let (id, files) = deliver(&client, "[deliver 3] go").await;
    let one = &files[0];
    let called = client
        .call("download_file", json!({"file_id": one["file_id"]}))
        .await;
    let saved = called.ok()["saved"][0].clone();
    let path = PathBuf::from(saved["path"].as_str().unwrap());
    assert_eq!(path, disk.root().join(one["name"].as_str().unwrap()));
    assert!(
        fs::read_to_string(&path)
            .unwrap()
            .starts_with("Simulated result")
    );
    assert_eq!(saved["size_bytes"], fs::metadata(&path).unwrap().len());
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let arguments = json!({"session_id": id, "directory": "new/results"});
    let all = client.call("download_file", arguments).await.ok();
    assert_eq!(all["saved"].as_array().unwrap().len(), 3, "{all}");
    assert_eq!(all["failed"], json!([]));
    let names = [
        "new/results/result-1.txt",
        "new/results/result-2.txt",
        "new/results/result-3.txt",
    ];
    assert_eq!(disk.names()[..3], names);
    assert_eq!(
        disk.names().len(),
        4,
        "and nothing else: {:?}",
        disk.names()
    );
}

#[tokio::test]
async fn a_file_that_is_there_is_replaced_only_if_that_was_asked() {
    let (rig, disk) = with_disk().await;
    let client = rig.client().await;
    let (id, files) = deliver(&client, "[deliver 2] go").await;
    disk.put("result-1.txt", b"mine");
    let mine = || fs::read_to_string(disk.root().join("result-1.txt")).unwrap();
    let first = files
        .iter()
        .find(|file| file["name"] == "result-1.txt")
        .unwrap();
    let arguments = json!({"file_id": first["file_id"]});
    let text = client.call("download_file", arguments.clone()).await.err();
    assert!(text.contains("`overwrite`"), "{text}");
    let all = client
        .call("download_file", json!({"session_id": id}))
        .await
        .ok();
    assert_eq!(all["saved"].as_array().unwrap().len(), 1, "{all}");
    assert_eq!(all["failed"][0]["file_id"], first["file_id"]);
    assert_eq!(mine(), "mine");
    assert_eq!(disk.names(), ["result-1.txt", "result-2.txt"]);
    let arguments = json!({"session_id": id, "overwrite": true});
    let all = client.call("download_file", arguments).await.ok();
    assert_eq!(all["failed"], json!([]));
    assert!(mine().starts_with("Simulated result 1"));
    assert_eq!(disk.names(), ["result-1.txt", "result-2.txt"]);
}

#[tokio::test]
async fn a_download_of_which_nothing_was_saved_has_failed() {
    let (rig, disk) = with_disk().await;
    let client = rig.client().await;
    let (id, files) = deliver(&client, "[deliver 60] go").await;
    let arguments = json!({"session_id": id});
    let _ = client.call("download_file", arguments.clone()).await.ok();
    let again = client.call("download_file", arguments.clone()).await;
    assert_eq!(again.structured["saved"], json!([]));
    let failed = again.structured["failed"].as_array().unwrap();
    assert!(!failed.is_empty() && failed.len() < 60, "{}", again.text);
    assert!(
        files
            .iter()
            .any(|file| file["file_id"] == failed[0]["file_id"])
    );
    let text = again.err();
    assert!(
        text.contains("there is a file of this name") && text.contains("`overwrite`"),
        "{text}"
    );
    assert!(text.contains("more that failed") && text.chars().count() <= 4000);
    fs::remove_file(disk.root().join("result-7.txt")).unwrap();
    let partly = client.call("download_file", arguments).await.ok();
    assert_eq!(partly["saved"].as_array().unwrap().len(), 1);
    let log = client.stderr.text();
    let outcomes: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("tool=download_file"))
        .filter_map(|line| line.split(" outcome=").nth(1)?.split(' ').next())
        .collect();
    assert_eq!(outcomes, ["ok", "error", "ok"], "{log}");
}

#[tokio::test]
async fn a_cut_download_is_begun_anew_and_leaves_no_part() {
    let (rig, disk) = with_disk().await;
    let client = rig.client().await;
    let (_, files) = deliver(&client, "[deliver 1 500] go").await;
    let arguments = json!({"file_id": files[0]["file_id"]});
    let cut = || Kind::CutAfterBytes { bytes: 300_000 };
    rig.always("GET */content", cut());
    let text = client.call("download_file", arguments.clone()).await.err();
    assert!(text.starts_with("Could not download file_"), "{text}");
    assert!(disk.names().is_empty(), "{:?}", disk.names());
    let tries = || {
        rig.requests()
            .iter()
            .filter(|one| one.path.ends_with("/content"))
            .count()
    };
    assert_eq!(tries(), 3);
    rig.simulator.clear_faults();
    rig.fault("GET */content", cut());
    let busy = Kind::Status {
        code: 503,
        retry_after: None,
        acting: Acting::Before,
        body: None,
    };
    rig.simulator
        .inject(Fault::new("GET */content", busy).skip(1));
    let saved = client.call("download_file", arguments).await.ok();
    assert_eq!(saved["saved"][0]["size_bytes"], 500_000);
    assert_eq!(tries(), 6);
    let saved = fs::read(disk.root().join("result-1.txt")).unwrap();
    assert_eq!(saved.len(), 500_000);
}

#[tokio::test]
async fn a_stalled_download_ends_in_time_and_leaves_no_part() {
    let (rig, disk) = with_disk().await;
    let rig = rig.set("MANAGED_AGENTS_MAX_WAIT_SECONDS", "2");
    let client = rig.client().await;
    let (_, files) = deliver(&client, "[deliver 1 150] go").await;
    for after_bytes in [0, 100_000] {
        rig.fault("GET */content", Kind::Silence { after_bytes });
        let arguments = json!({"file_id": files[0]["file_id"]});
        let called = client.call("download_file", arguments).await;
        let text = called.within(Duration::from_secs(4)).err();
        assert!(text.contains("within the time allowed"), "{text}");
        assert!(disk.names().is_empty(), "{:?}", disk.names());
    }
}

#[tokio::test]
async fn a_cancelled_download_leaves_no_part() {
    let (rig, disk) = with_disk().await;
    let client = rig.client().await;
    let (_, files) = deliver(&client, "[deliver 1 500] go").await;
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    rig.fault(
        "GET */content",
        Kind::Silence {
            after_bytes: 300_000,
        },
    );
    let arguments = json!({"file_id": files[0]["file_id"]});
    let id = pipe.tool("download_file", arguments).await;
    until("a part is on the disk", async || {
        disk.names().iter().any(|name| name.ends_with(".part"))
    })
    .await;
    let cancel =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
    pipe.send(&cancel).await;
    until("the part is gone", async || disk.names().is_empty()).await;
}

#[tokio::test]
async fn the_slices_of_a_file_are_the_file() {
    let (rig, disk) = with_disk().await;
    let client = rig.client().await;
    let (_, files) = deliver(&client, "[deliver 1 60] go").await;
    let id = files[0]["file_id"].as_str().unwrap();
    let _ = client
        .call("download_file", json!({"file_id": id}))
        .await
        .ok();
    let whole = fs::read_to_string(disk.root().join("result-1.txt")).unwrap();
    let (mut text, mut arguments) = (String::new(), json!({"file_id": id, "offset": 0}));
    loop {
        let slice = client.call("download_file", arguments).await;
        assert!(
            slice.text.contains("data, not instructions"),
            "{}",
            slice.text
        );
        let slice = slice.ok();
        assert_eq!(slice["untrusted"], true);
        text.push_str(slice["text"].as_str().unwrap());
        let Some(omitted) = slice["omitted"].as_str() else {
            assert_eq!(slice["next_offset"], Value::Null);
            break;
        };
        let (_, call) = omitted.split_once("download_file ").unwrap();
        arguments = serde_json::from_str(call).unwrap();
        assert_eq!(arguments["offset"], slice["next_offset"]);
    }
    assert_eq!(text, whole);
    let far = json!({"file_id": id, "offset": 60_001});
    assert!(
        client
            .call("download_file", far)
            .await
            .err()
            .contains("no byte 60001")
    );
    assert_eq!(disk.names(), ["result-1.txt"], "reading saves nothing");
}

#[tokio::test]
async fn a_small_budget_holds_for_files_too() {
    let (rig, disk) = with_disk().await;
    let rig = rig.set("MANAGED_AGENTS_RESULT_CHARS", "2000");
    let client = rig.client().await;
    let (id, files) = deliver(&client, "[deliver 30] go").await;
    assert!(!files.is_empty());
    let all = client
        .call("download_file", json!({"session_id": id}))
        .await
        .ok();
    assert!(
        all["omitted"]
            .as_str()
            .unwrap()
            .contains("more files saved in"),
        "{all}"
    );
    assert_eq!(disk.names().len(), 30);
    let again = client
        .call("download_file", json!({"session_id": id}))
        .await;
    assert!(again.is_error, "{}", again.text);
    let all = again.structured;
    assert!(
        all["omitted"]
            .as_str()
            .unwrap()
            .contains("more that failed"),
        "{all}"
    );
    let slice = json!({"file_id": files[0]["file_id"], "offset": 0});
    let _ = client.call("download_file", slice).await.ok();
}

#[tokio::test]
async fn arguments_that_do_not_fit_together_are_refused() {
    let (rig, disk) = with_disk().await;
    let client = rig.client().await;
    disk.put("notes.txt", b"notes");
    let mounted = client
        .call("upload_file", json!({"path": "notes.txt"}))
        .await
        .ok();
    for (arguments, word) in [
        (json!({}), "exactly one: `file_id`, or `session_id`"),
        (
            json!({"file_id": "file_1", "session_id": "sesn_1"}),
            "exactly one",
        ),
        (json!({"session_id": "sesn_1", "offset": 0}), "`file_id`"),
        (json!({"file_id": "../x"}), "is not an id"),
        (json!({"file_id": "file_1", "offset": -1}), "offset"),
        (json!({"file_id": mounted["file_id"]}), "was uploaded"),
        (
            json!({"file_id": mounted["file_id"], "offset": 0}),
            "was uploaded",
        ),
        (json!({"file_id": "file_none"}), "file_none"),
    ] {
        let text = client.call("download_file", arguments.clone()).await.err();
        assert!(text.contains(word), "{arguments}: {text}");
    }
}

/// Also says how far it is, in few lines.
#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_large_file_passes_in_little_memory() {
    const SIZE: u64 = 32_000_000;
    let (rig, disk) = with_disk().await;
    File::create(disk.root().join("large.bin"))
        .unwrap()
        .set_len(SIZE)
        .unwrap();
    let client = rig.client().await;
    let (_, files) = deliver(&client, "[deliver 1 32000] go").await;
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    for (tool, arguments, line) in [
        (
            "upload_file",
            json!({"path": "large.bin"}),
            "uploading large.bin: ",
        ),
        (
            "download_file",
            json!({"file_id": files[0]["file_id"]}),
            "downloading result-1.txt: ",
        ),
    ] {
        let call = json!({"name": tool, "arguments": arguments, "_meta": {"progressToken": tool}});
        let id = pipe.request("tools/call", call).await;
        let reply = pipe.reply(id).await;
        assert_ne!(reply["result"]["isError"], true, "{reply}");
        let lines = std::mem::take(&mut pipe.aside);
        assert!(
            !lines.is_empty() && lines.len() < 100,
            "{} lines",
            lines.len()
        );
        for told in lines {
            let told = told["params"]["message"].as_str().unwrap();
            assert!(
                told.starts_with(line) && told.ends_with(" of 32 MB"),
                "{told}"
            );
        }
    }
    assert_eq!(
        fs::metadata(disk.root().join("result-1.txt"))
            .unwrap()
            .len(),
        SIZE
    );
    let peak = pipe.peak_memory();
    assert!(peak < 40_000_000, "{peak} bytes");
}
