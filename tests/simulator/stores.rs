//! Vaults with their credentials, and memory stores with their memories.

use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::Rig;

fn texts<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    let items = list["data"].as_array().unwrap().iter();
    items.map(|item| item[key].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_vault_takes_secrets_and_never_gives_them_back() {
    let rig = Rig::start().await;
    let vault = rig
        .made("/v1/vaults", json!({"display_name": "Team"}))
        .await;
    let path = format!("/v1/vaults/{vault}/credentials");
    let refresh = json!({
        "client_id": "c", "refresh_token": "canary-2", "token_endpoint": "https://id.example/token",
        "token_endpoint_auth": {"type": "client_secret_post", "client_secret": "canary-3"},
    });
    for auth in [
        json!({"type": "static_bearer", "token": "canary-0", "mcp_server_url": "https://a.example"}),
        json!({"type": "mcp_oauth", "access_token": "canary-1", "mcp_server_url": "https://b.example", "refresh": refresh}),
        json!({"type": "environment_variable", "secret_name": "KEY", "secret_value": "canary-4",
               "networking": {"type": "limited", "allowed_hosts": ["*.example.com"]}}),
    ] {
        let credential = rig
            .post(&path, json!({"auth": auth, "display_name": "one"}))
            .await;
        assert_eq!(credential["auth"]["type"], auth["type"]);
        let (status, why) = rig
            .refusal(Method::POST, &path, Some(json!({"auth": auth})))
            .await;
        assert_eq!(status, 409, "a second one for the same thing: {why}");
        let one = format!("{path}/{}", credential["id"].as_str().unwrap());
        let patch = json!({"auth": {"type": auth["type"]}, "metadata": {"k": "v"}});
        assert_eq!(rig.post(&one, patch).await["auth"], credential["auth"]);
        rig.post(&format!("{one}/archive"), json!({})).await;
        let changed = rig.refusal(Method::POST, &one, Some(json!({"display_name": "x"})));
        assert_eq!(changed.await.0, 409);
        rig.post(&path, json!({"auth": auth})).await;
    }
    assert_eq!(rig.get(&path).await["data"].as_array().unwrap().len(), 3);
    let all = rig.get(&format!("{path}?include_archived=true")).await;
    assert_eq!(all["data"].as_array().unwrap().len(), 6);
    assert!(!all.to_string().contains("canary"), "{all}");
}

#[tokio::test]
async fn a_credential_that_is_not_quite_right_is_refused() {
    let rig = Rig::start().await;
    let vault = rig
        .made("/v1/vaults", json!({"display_name": "Team"}))
        .await;
    let path = format!("/v1/vaults/{vault}/credentials");
    for (auth, word) in [
        (json!({"type": "password"}), "auth.type"),
        (
            json!({"type": "static_bearer", "mcp_server_url": "https://a.example"}),
            "auth.token",
        ),
        (
            json!({"type": "static_bearer", "token": "t", "mcp_server_url": "http://a.example"}),
            "https",
        ),
        (
            json!({"type": "static_bearer", "token": "t", "mcp_server_url": "https://a.example", "name": "n"}),
            "auth.name",
        ),
        (
            json!({"type": "environment_variable", "secret_name": "A-B", "secret_value": "s", "networking": {"type": "unrestricted"}}),
            "secret_name",
        ),
        (
            json!({"type": "environment_variable", "secret_name": "A", "secret_value": "s",
                "networking": {"type": "limited", "allowed_hosts": ["https://a.example"]}}),
            "allowed_hosts",
        ),
        (
            json!({"type": "environment_variable", "secret_name": "A", "secret_value": "s", "networking": {"type": "unrestricted"},
                "injection_location": {"header": false}}),
            "injection_location",
        ),
        (
            json!({"type": "mcp_oauth", "access_token": "t", "mcp_server_url": "https://a.example", "expires_at": "2020-01-01T00:00:00Z"}),
            "future",
        ),
    ] {
        let (status, why) = rig
            .refusal(Method::POST, &path, Some(json!({"auth": auth})))
            .await;
        assert_eq!((status, why.contains(word)), (400, true), "{word}: {why}");
    }
}

#[tokio::test]
async fn what_is_archived_or_unknown_cannot_be_attached() {
    let rig = Rig::start().await;
    let vault = rig.made("/v1/vaults", json!({"display_name": "v"})).await;
    let store = rig.made("/v1/memory_stores", json!({"name": "m"})).await;
    let start = |vault: &str, store: &str| {
        let memory = json!([{"type": "memory_store", "memory_store_id": store}]);
        json!({"agent": rig.agent, "environment_id": rig.environment, "vault_ids": [vault], "resources": memory})
    };
    rig.post("/v1/sessions", start(&vault, &store)).await;
    for body in [start("vlt_1", &store), start(&vault, "memstore_1")] {
        assert_eq!(
            rig.refusal(Method::POST, "/v1/sessions", Some(body))
                .await
                .0,
            404
        );
    }
    let other = rig.made("/v1/vaults", json!({"display_name": "w"})).await;
    rig.post(&format!("/v1/vaults/{vault}/archive"), json!({}))
        .await;
    rig.post(&format!("/v1/memory_stores/{store}/archive"), json!({}))
        .await;
    for body in [start(&vault, &store), start(&other, &store)] {
        let (status, why) = rig.refusal(Method::POST, "/v1/sessions", Some(body)).await;
        assert_eq!((status, why.contains("archived")), (400, true), "{why}");
    }
    assert_eq!(texts(&rig.get("/v1/vaults").await, "display_name"), ["w"]);
    let path = format!("/v1/vaults/{vault}");
    let (_, deleted) = rig.call(Method::DELETE, &path, None).await;
    assert_eq!(deleted["type"], "vault_deleted");
    let credentials = format!("{path}/credentials");
    assert_eq!(rig.refusal(Method::GET, &credentials, None).await.0, 404);
}

#[tokio::test]
async fn a_memory_is_changed_only_as_it_was_read() {
    let rig = Rig::start().await;
    let store = rig.made("/v1/memory_stores", json!({"name": "m"})).await;
    let path = format!("/v1/memory_stores/{store}/memories");
    let first = rig
        .post(&path, json!({"path": "/notes/a.md", "content": "abc"}))
        .await;
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(
        (&first["content_sha256"], &first["content"]),
        (&json!(hash), &Value::Null)
    );
    let one = format!("{path}/{}", first["id"].as_str().unwrap());
    assert_eq!(rig.get(&one).await["content"], "abc");
    let same = json!({"content": "x", "path": "/notes/a.md"});
    assert_eq!(rig.refusal(Method::POST, &path, Some(same)).await.0, 409);
    let precondition = json!({"type": "content_sha256", "content_sha256": hash});
    let change = json!({"content": "abcd", "path": "/b.md", "precondition": precondition});
    let second = rig.post(&format!("{one}?view=full"), change.clone()).await;
    assert_eq!(
        (&second["content"], &second["path"]),
        (&json!("abcd"), &json!("/b.md"))
    );
    assert_ne!(second["memory_version_id"], first["memory_version_id"]);
    assert_eq!(rig.refusal(Method::POST, &one, Some(change)).await.0, 409);
    let stale = format!("{one}?expected_content_sha256={hash}");
    assert_eq!(rig.refusal(Method::DELETE, &stale, None).await.0, 409);
    for odd in ["notes.md", "/", "/a/../b", "/a//b", "/a\u{202e}b", "/a\nb"] {
        let body = Some(json!({"path": odd, "content": ""}));
        assert_eq!(
            rig.refusal(Method::POST, &path, body).await.0,
            400,
            "{odd:?}"
        );
    }
    let large = Some(json!({"path": "/large", "content": "é".repeat(51_201)}));
    assert_eq!(rig.refusal(Method::POST, &path, large).await.0, 400);
    rig.post(&format!("/v1/memory_stores/{store}/archive"), json!({}))
        .await;
    let late = Some(json!({"path": "/late", "content": ""}));
    assert_eq!(rig.refusal(Method::POST, &path, late).await.0, 409);
    let (_, deleted) = rig.call(Method::DELETE, &one, None).await;
    assert_eq!(deleted["type"], "memory_deleted");
}

#[tokio::test]
async fn memories_are_listed_by_path_and_folders_rolled_up() {
    let rig = Rig::start().await;
    let store = rig.made("/v1/memory_stores", json!({"name": "m"})).await;
    let path = format!("/v1/memory_stores/{store}/memories");
    for name in ["/z.md", "/a/1.md", "/a/b/2.md", "/a-b/3.md"] {
        rig.post(&path, json!({"path": name, "content": name}))
            .await;
    }
    for (query, wanted) in [
        ("", vec!["/a-b/3.md", "/a/1.md", "/a/b/2.md", "/z.md"]),
        ("?depth=1", vec!["/a-b/", "/a/", "/z.md"]),
        ("?path_prefix=/a/", vec!["/a/1.md", "/a/b/2.md"]),
        ("?path_prefix=/a/&depth=1", vec!["/a/1.md", "/a/b/"]),
    ] {
        let list = rig.get(&format!("{path}{query}")).await;
        assert_eq!(texts(&list, "path"), wanted, "{query}");
    }
    let full = rig.get(&format!("{path}?view=full&limit=1")).await;
    assert_eq!(full["data"][0]["content"], "/a-b/3.md");
    let next = full["next_page"].as_str().unwrap();
    let next = rig.get(&format!("{path}?limit=1&page={next}")).await;
    assert_eq!(texts(&next, "path"), ["/a/1.md"]);
    let wrong = format!("{path}?path_prefix=/a");
    assert_eq!(rig.refusal(Method::GET, &wrong, None).await.0, 400);
}

#[tokio::test]
async fn a_repositorys_token_can_be_renewed_and_nothing_else() {
    let rig = Rig::start().await;
    let file = rig.upload("notes.txt", b"notes").await;
    let resources = json!([
        {"type": "github_repository", "url": "https://github.com/o/r", "authorization_token": "canary"},
        {"type": "file", "file_id": file},
    ]);
    let session = rig.session_with(json!({"resources": resources})).await;
    let path = format!("/v1/sessions/{session}/resources");
    let ids = rig.get(&path).await;
    let ids = texts(&ids, "id");
    let token = json!({"authorization_token": "canary-2"});
    let renewed = rig.post(&format!("{path}/{}", ids[0]), token.clone()).await;
    assert!(!renewed.to_string().contains("canary"), "{renewed}");
    let file = format!("{path}/{}", ids[1]);
    let other = rig.refusal(Method::POST, &file, Some(token));
    assert_eq!(other.await.0, 400);
}
