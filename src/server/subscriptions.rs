//! Who wants to hear when a session changes: clients that subscribe to one resource after the other (up to 2025-11-25),
//! and those that listen on one request (2026-07-28). The watching itself is `bridge/watch.rs`.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;
use rmcp::model::{ResourceUpdatedNotificationParam, SubscriptionFilter};
use rmcp::service::{Peer, RequestContext, SubscriptionContext, SubscriptionSink};
use rmcp::{ErrorData, RoleServer};
use tokio::task::AbortHandle;

use super::Server;
use super::resources::{Address, refused, while_wanted};
use crate::api::Id;
use crate::bridge::{Failure, Watch};

/// The sessions that clients of the older protocol subscribed to; their requests are over, so each has a task.
#[derive(Default)]
pub(super) struct Subscriptions(Mutex<HashMap<Id, Subscription>>);

struct Subscription {
    uris: BTreeSet<String>,
    task: AbortHandle,
}

/// Where changes are told.
enum Voice {
    Client(Peer<RoleServer>),
    Listener(SubscriptionSink),
}

impl Subscriptions {
    /// Adds a URI to what is watched already; `false`: the session is not.
    fn join(&self, session: &Id, uri: &str) -> bool {
        let mut all = self.lock();
        all.retain(|_, subscription| !subscription.task.is_finished());
        let subscription = all.get_mut(session);
        subscription.is_some_and(|known| {
            known.uris.insert(uri.to_owned());
            true
        })
    }

    /// Adds a URI; only for a session that is not watched yet a task is started.
    fn begin(&self, session: Id, uri: &str, start: impl FnOnce() -> AbortHandle) {
        let mut all = self.lock();
        let subscription = all.entry(session).or_insert_with(|| Subscription {
            uris: BTreeSet::new(),
            task: start(),
        });
        subscription.uris.insert(uri.to_owned());
    }

    fn leave(&self, session: &Id, uri: &str) {
        let mut all = self.lock();
        let Some(subscription) = all.get_mut(session) else {
            return;
        };
        subscription.uris.remove(uri);
        if subscription.uris.is_empty() {
            subscription.task.abort();
            all.remove(session);
        }
    }

    fn uris(&self, session: &Id) -> Vec<String> {
        let all = self.lock();
        let uris = all.get(session).map(|subscription| &subscription.uris);
        uris.into_iter().flatten().cloned().collect()
    }

    /// The map is whole whatever a panicking holder was doing.
    fn lock(&self) -> MutexGuard<'_, HashMap<Id, Subscription>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    /// Subscribes to a resource.
    pub(super) async fn subscribe_to(
        &self,
        uri: &str,
        context: &RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let Address { session, .. } = self.address(uri)?;
        if self.subscriptions.join(&session, uri) {
            return Ok(());
        }
        let watch = while_wanted(context, self.bridge.watch(&session))
            .await
            .map_err(|failure| refused(failure, uri))?;
        let (all, id) = (Arc::clone(&self.subscriptions), session.clone());
        let (voice, gone) = (Voice::Client(context.peer.clone()), self.gone.clone());
        let telling = async move {
            tokio::select! {
                () = gone.cancelled() => {}
                () = voice.tell(watch, || all.uris(&id)) => {}
            }
        };
        self.subscriptions
            .begin(session, uri, || tokio::spawn(telling).abort_handle());
        Ok(())
    }

    /// Ends a subscription; one that there is not is none to end.
    pub(super) fn unsubscribe_from(&self, uri: &str) -> Result<(), ErrorData> {
        let address = self.address(uri)?;
        self.subscriptions.leave(&address.session, uri);
        Ok(())
    }

    /// The URIs of a filter that name resources of ours.
    pub(super) fn acceptable(&self, requested: &SubscriptionFilter) -> SubscriptionFilter {
        let uris = requested.resource_subscriptions.iter().flatten();
        SubscriptionFilter::builder()
            .resource_subscriptions(uris.filter(|uri| self.address(uri).is_ok()))
            .build()
    }

    /// Tells of changes until the client has enough, or nothing can change any more.
    pub(super) async fn tell_listener(
        &self,
        listening: SubscriptionContext,
    ) -> Result<(), ErrorData> {
        let watches = self.watches(&listening).await?;
        let accepted = listening.accepted().resource_subscriptions.as_ref();
        let names_any = accepted.is_some_and(|uris| !uris.is_empty());
        let voice = Voice::Listener(listening.sink().clone());
        let telling = watches
            .into_iter()
            .map(|(watch, uris)| voice.tell(watch, move || uris.clone()));
        tokio::select! {
            () = listening.cancelled() => {}
            () = self.gone.cancelled() => {}
            _ = join_all(telling), if names_any => {}
        }
        Ok(())
    }

    /// A watch for each session of a filter. One that is not there, or for which there is no place, is left out: it was
    /// acknowledged before that could be known, and an error would make the client ask again, for nothing.
    async fn watches(
        &self,
        listening: &SubscriptionContext,
    ) -> Result<Vec<(Watch, Vec<String>)>, ErrorData> {
        let mut sessions: HashMap<Id, Vec<String>> = HashMap::new();
        let accepted = listening.accepted().resource_subscriptions.as_deref();
        for uri in accepted.unwrap_or_default() {
            let address = self.address(uri)?;
            let uris = sessions.entry(address.session).or_default();
            // A client may name one twice.
            if !uris.contains(uri) {
                uris.push(uri.clone());
            }
        }
        let context = listening.request_context();
        let watches = sessions.into_iter().map(async |(session, uris)| {
            let watch = while_wanted(context, self.bridge.watch(&session)).await;
            (watch, uris)
        });
        let mut found = Vec::new();
        for (watch, uris) in join_all(watches).await {
            match watch {
                // What happened since the acknowledgement must not be missed.
                Ok(watch) => found.push((watch.with_recent(), uris)),
                Err(failure) => {
                    let is_for_good =
                        failure.is_not_found() || matches!(failure, Failure::Argument { .. });
                    let error = refused(failure, uris);
                    if !is_for_good {
                        return Err(error);
                    }
                }
            }
        }
        Ok(found)
    }
}

impl Voice {
    /// Tells every change of a session, until there can be none any more or nobody hears it.
    async fn tell(&self, mut watch: Watch, uris: impl Fn() -> Vec<String>) {
        while watch.changed().await {
            for uri in uris() {
                if !self.say(uri).await {
                    return;
                }
            }
        }
    }

    async fn say(&self, uri: String) -> bool {
        match self {
            Voice::Client(peer) => {
                let told = peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(uri));
                told.await.is_ok()
            }
            Voice::Listener(sink) => sink.notify_resource_updated(uri).await.is_ok(),
        }
    }
}
