//! Reading and writing plain JSON objects by path.

use serde_json::Value;

static NOTHING: Value = Value::Null;

/// What stands at a JSON pointer; null where nothing does.
#[inline(never)]
pub(super) fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    value.pointer(path).unwrap_or(&NOTHING)
}

/// The string at a JSON pointer; empty where there is none.
#[inline(never)]
pub(super) fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    at(value, path).as_str().unwrap_or_default()
}

/// The array at a JSON pointer; empty where there is none.
#[inline(never)]
pub(super) fn items<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    at(value, path).as_array().map_or(&[], Vec::as_slice)
}

/// Sets one field of an object.
pub(super) fn set(value: &mut Value, key: &str, new: impl Into<Value>) {
    put(value, key, new.into());
}

#[inline(never)]
fn put(value: &mut Value, key: &str, new: Value) {
    if let Some(object) = value.as_object_mut() {
        object.insert(key.to_owned(), new);
    }
}

/// Applies a metadata patch: a string sets its key, null deletes it.
pub(super) fn merge_metadata(value: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        return;
    };
    let Some(kept) = value.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    for (key, new) in patch {
        if new.is_null() {
            kept.remove(key);
        } else {
            kept.insert(key.clone(), new.clone());
        }
    }
}
