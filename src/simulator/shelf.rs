//! The resources of one kind, oldest first: found, changed, listed, archived and removed by id.

use serde_json::{Map, Value, json};

use super::answer::{Answer, Refusal};
use super::body::{Fields, Nulls, check_pairs};
use super::json::{at, merge_metadata, set, text};
use super::page::Page;
use super::stamp;
use super::state::Call;

/// All resources of a kind, by their number.
pub(super) struct Shelf {
    noun: &'static str,
    all: Vec<(u64, Value)>,
}

impl Shelf {
    /// An empty one; the noun is what refusals call its resources.
    pub(super) fn of(noun: &'static str) -> Self {
        Self {
            noun,
            all: Vec::new(),
        }
    }

    /// Adds a resource; returns it.
    #[inline(never)]
    pub(super) fn put(&mut self, key: u64, object: Value) -> Value {
        self.all.push((key, object.clone()));
        object
    }

    /// All of them with their numbers.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, &Value)> {
        self.all.iter().map(|(key, object)| (*key, object))
    }

    /// All of them, for change.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Value> {
        self.all.iter_mut().map(|(_, object)| object)
    }

    /// A resource, or 404.
    #[inline(never)]
    pub(super) fn get(&self, id: &str) -> Result<&Value, Refusal> {
        let found = self.all.iter().find(|(_, one)| text(one, "/id") == id);
        found
            .map(|(_, one)| one)
            .ok_or_else(|| Refusal::unknown(self.noun, id))
    }

    /// A resource for change, or 404.
    #[inline(never)]
    pub(super) fn get_mut(&mut self, id: &str) -> Result<&mut Value, Refusal> {
        let noun = self.noun;
        let found = self.values_mut().find(|one| text(one, "/id") == id);
        found.ok_or_else(|| Refusal::unknown(noun, id))
    }

    /// A resource that may still change: 404 for none, 409 for an archived one.
    #[inline(never)]
    pub(super) fn changeable(&self, id: &str) -> Result<&Value, Refusal> {
        let found = self.get(id)?;
        if archived(found) {
            let noun = self.noun;
            let why = format!("{noun} `{id}` is archived and cannot be changed.");
            return Err(Refusal::conflict(why));
        }
        Ok(found)
    }

    /// A resource that something new may refer to: 404 for none, 400 for an archived one. `path` names the reference.
    #[inline(never)]
    pub(super) fn usable(&self, id: &str, path: &str) -> Result<&Value, Refusal> {
        let found = self.get(id)?;
        if archived(found) {
            let noun = self.noun;
            return Err(Refusal::invalid(format!(
                "{path}: {noun} `{id}` is archived"
            )));
        }
        Ok(found)
    }

    /// Puts a changed resource in the place of the old one; returns it.
    #[inline(never)]
    pub(super) fn replace(&mut self, mut object: Value) -> Answer {
        set(&mut object, "updated_at", stamp::now());
        *self.get_mut(text(&object, "/id"))? = object.clone();
        Ok(object)
    }

    /// Archives a resource, once.
    #[inline(never)]
    pub(super) fn archive(&mut self, id: &str) -> Answer {
        let object = self.get_mut(id)?;
        if !archived(object) {
            let now = stamp::now();
            set(object, "updated_at", now.as_str());
            set(object, "archived_at", now);
        }
        Ok(object.clone())
    }

    /// Removes a resource and answers with this type.
    #[inline(never)]
    pub(super) fn remove(&mut self, id: &str, kind: &str) -> Answer {
        self.get(id)?;
        self.retain(&|one| text(one, "/id") != id);
        Ok(json!({"id": id, "type": kind}))
    }

    /// Keeps only some.
    #[inline(never)]
    pub(super) fn retain(&mut self, keep: &dyn Fn(&Value) -> bool) {
        self.all.retain(|(_, one)| keep(one));
    }

    /// A page of those that pass, newest first, without the archived ones unless asked for.
    pub(super) fn list(&self, call: &Call, pass: &dyn Fn(&Value) -> bool) -> Answer {
        self.list_as(call, &pass, Value::clone)
    }

    /// The same, each as `show` makes it.
    #[inline(never)]
    pub(super) fn list_as(
        &self,
        call: &Call,
        pass: &dyn Fn(&Value) -> bool,
        show: fn(&Value) -> Value,
    ) -> Answer {
        let page = Page::read(&call.query, "desc", 20, 100)?;
        let all = call.query.flag("include_archived")?;
        let within = call.query.window()?;
        let kept = self.iter().filter(|(_, one)| {
            (all || !archived(one)) && within(text(one, "/created_at")) && pass(one)
        });
        Ok(page.cut(kept.map(|(key, one)| (key, show(one)))).one_way())
    }
}

/// Whether a resource was archived.
pub(super) fn archived(object: &Value) -> bool {
    !at(object, "/archived_at").is_null()
}

/// Applies the metadata patch of an update.
#[inline(never)]
pub(super) fn patch_metadata(object: &mut Value, fields: &Fields<'_>) -> Result<(), Refusal> {
    if let Some(patch) = fields.metadata("metadata", Nulls::Delete)? {
        merge_metadata(object, patch);
        check_pairs(at(object, "/metadata").as_object().map_or(0, Map::len))
            .map_err(|why| fields.wrong("metadata", &why))?;
    }
    Ok(())
}

/// The metadata of a new resource.
#[inline(never)]
pub(super) fn new_metadata(fields: &Fields<'_>) -> Answer {
    let sent = fields.metadata("metadata", Nulls::Refuse)?;
    Ok(sent.cloned().unwrap_or_else(|| json!({})))
}
