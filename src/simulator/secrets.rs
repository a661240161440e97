//! How a credential authenticates: checked as sent, and without its secrets as the API returns it.

use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::body::Fields;
use super::json::{at, set, text};
use super::stamp;

const KINDS: &str = "Input should be one of: mcp_oauth, static_bearer, environment_variable";

/// The authentication of a new credential.
pub(super) fn taken(value: &Value) -> Answer {
    match text(value, "/type") {
        "static_bearer" => {
            let fields = Fields::of(value, "auth", &["type", "token", "mcp_server_url"])?;
            secret(&fields, "token")?;
            Ok(json!({"type": "static_bearer", "mcp_server_url": server(&fields)?}))
        }
        "mcp_oauth" => {
            let keys = [
                "type",
                "access_token",
                "mcp_server_url",
                "expires_at",
                "refresh",
            ];
            let fields = Fields::of(value, "auth", &keys)?;
            secret(&fields, "access_token")?;
            let refresh = fields.get("refresh").map(refresh).transpose()?;
            Ok(json!({
                "type": "mcp_oauth", "mcp_server_url": server(&fields)?, "expires_at": expiry(&fields)?,
                "refresh": refresh,
            }))
        }
        "environment_variable" => {
            let keys = [
                "type",
                "secret_name",
                "secret_value",
                "networking",
                "injection_location",
            ];
            let fields = Fields::of(value, "auth", &keys)?;
            secret(&fields, "secret_value")?;
            Ok(json!({
                "type": "environment_variable", "secret_name": variable(&fields)?,
                "networking": networking(fields.need("networking")?)?,
                "injection_location": location(&fields, &json!({"header": true, "body": false}))?,
            }))
        }
        _ => Err(Refusal::invalid(format!("auth.type: {KINDS}"))),
    }
}

/// The authentication of a credential after an update; its type, its server and its name stay.
pub(super) fn changed(old: &Value, value: &Value) -> Answer {
    let kind = text(old, "/type");
    if text(value, "/type") != kind {
        let why = format!("auth.type: The type of a credential cannot be changed, it is {kind}");
        return Err(Refusal::invalid(why));
    }
    let mut auth = old.clone();
    match kind {
        "static_bearer" => {
            Fields::of(value, "auth", &["type", "token"])?.text("token", 1..=10_000)?;
        }
        "mcp_oauth" => {
            let keys = ["type", "access_token", "expires_at", "refresh"];
            let fields = Fields::of(value, "auth", &keys)?;
            fields.text("access_token", 1..=10_000)?;
            if fields.has("expires_at") {
                set(&mut auth, "expires_at", expiry(&fields)?);
            }
            if let Some(refresh) = fields.get("refresh") {
                set(
                    &mut auth,
                    "refresh",
                    refreshed(at(old, "/refresh"), refresh)?,
                );
            }
        }
        _ => {
            let keys = ["type", "secret_value", "networking", "injection_location"];
            let fields = Fields::of(value, "auth", &keys)?;
            fields.text("secret_value", 1..=10_000)?;
            if let Some(value) = fields.get("networking") {
                set(&mut auth, "networking", networking(value)?);
            }
            let place = location(&fields, at(old, "/injection_location"))?;
            set(&mut auth, "injection_location", place);
        }
    }
    Ok(auth)
}

fn secret(fields: &Fields<'_>, key: &str) -> Result<(), Refusal> {
    fields.need_text(key, 1..=10_000).map(|_| ())
}

fn server<'a>(fields: &Fields<'a>) -> Result<&'a str, Refusal> {
    let url = fields.need_text("mcp_server_url", 1..=2048)?;
    if !url.starts_with("https://") {
        return Err(fields.wrong("mcp_server_url", "Input should be an https URL"));
    }
    Ok(url)
}

fn expiry(fields: &Fields<'_>) -> Result<Value, Refusal> {
    let Some(time) = fields.text("expires_at", 1..=64)? else {
        return Ok(Value::Null);
    };
    if stamp::parse(time).is_none_or(|time| time <= chrono::Utc::now()) {
        return Err(fields.wrong("expires_at", "Input should be a datetime in the future"));
    }
    Ok(time.into())
}

fn refresh(value: &Value) -> Answer {
    let keys = [
        "client_id",
        "refresh_token",
        "token_endpoint",
        "token_endpoint_auth",
        "resource",
        "scope",
    ];
    let fields = Fields::of(value, "auth.refresh", &keys)?;
    secret(&fields, "refresh_token")?;
    let auth = fields.need("token_endpoint_auth")?;
    let path = "auth.refresh.token_endpoint_auth";
    let kind = text(auth, "/type");
    let keys: &[&str] = match kind {
        "none" => &["type"],
        _ => &["type", "client_secret"],
    };
    let client = Fields::of(auth, path, keys)?;
    client.need("type")?;
    client.choice(
        "type",
        &["none", "client_secret_basic", "client_secret_post"],
    )?;
    if kind != "none" {
        secret(&client, "client_secret")?;
    }
    Ok(json!({
        "client_id": fields.need_text("client_id", 1..=1024)?,
        "token_endpoint": fields.need_text("token_endpoint", 1..=2048)?,
        "token_endpoint_auth": {"type": kind},
        "resource": fields.text("resource", 1..=2048)?, "scope": fields.text("scope", 0..=4096)?,
    }))
}

fn refreshed(old: &Value, value: &Value) -> Answer {
    let keys = ["refresh_token", "scope", "token_endpoint_auth"];
    let fields = Fields::of(value, "auth.refresh", &keys)?;
    if !old.is_object() {
        let why = "auth.refresh: The credential was created without a refresh token";
        return Err(Refusal::invalid(why));
    }
    fields.text("refresh_token", 1..=10_000)?;
    let mut new = old.clone();
    if let Some(scope) = fields.text("scope", 0..=4096)? {
        let scope = Some(scope).filter(|scope| !scope.is_empty());
        set(&mut new, "scope", scope);
    }
    if let Some(auth) = fields.get("token_endpoint_auth") {
        let path = "auth.refresh.token_endpoint_auth";
        let client = Fields::of(auth, path, &["type", "client_secret"])?;
        client.need("type")?;
        client.choice("type", &["client_secret_basic", "client_secret_post"])?;
        client.text("client_secret", 1..=10_000)?;
        if text(old, "/token_endpoint_auth/type") == "none" {
            return Err(client.wrong("type", "The credential has no client secret to change"));
        }
    }
    Ok(new)
}

fn variable<'a>(fields: &Fields<'a>) -> Result<&'a str, Refusal> {
    let name = fields.need_text("secret_name", 1..=256)?;
    let letters = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if !name.chars().all(letters) || name.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(fields.wrong("secret_name", "Input should be the name of a variable"));
    }
    Ok(name)
}

fn networking(value: &Value) -> Answer {
    let path = "auth.networking";
    if text(value, "/type") == "unrestricted" {
        Fields::of(value, path, &["type"])?;
        return Ok(value.clone());
    }
    let fields = Fields::of(value, path, &["type", "allowed_hosts"])?;
    fields.need("type")?;
    fields.choice("type", &["unrestricted", "limited"])?;
    fields.need("allowed_hosts")?;
    let hosts = fields.texts("allowed_hosts", 16)?;
    let bare = |host: &Value| {
        let host = host.as_str().unwrap_or_default();
        !host.is_empty() && !host.contains(['/', ':', '?', '#', ' '])
    };
    if !super::json::items(&hosts, "").iter().all(bare) {
        let why = "Input should be host names without scheme, port or path";
        return Err(fields.wrong("allowed_hosts", why));
    }
    Ok(json!({"type": "limited", "allowed_hosts": hosts}))
}

/// Where the secret is put; what is not sent stays, and one place must remain.
fn location(fields: &Fields<'_>, old: &Value) -> Answer {
    let mut place = old.clone();
    if let Some(value) = fields.get("injection_location") {
        let sent = Fields::of(value, "auth.injection_location", &["header", "body"])?;
        for key in ["header", "body"] {
            if let Some(flag) = sent.flag(key)? {
                set(&mut place, key, flag);
            }
        }
    }
    if at(&place, "/header") != true && at(&place, "/body") != true {
        let why = "At least one location must be enabled";
        return Err(fields.wrong("injection_location", why));
    }
    Ok(place)
}
