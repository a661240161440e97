//! A dialog of the host while it is open: whoever stops waiting for it closes it, so that no answer is given into the void.

use rmcp::RoleServer;
use rmcp::model::{
    CancelledNotificationParam, ClientResult, ElicitRequest, ElicitRequestParams, ElicitResult,
    RequestId, ServerRequest,
};
use rmcp::service::{Peer, PeerRequestOptions};
use tokio::time::Duration;

/// Opens a dialog and waits for its answer; `None` where none came.
pub(super) async fn dialog(
    peer: &Peer<RoleServer>,
    form: ElicitRequestParams,
    most: Duration,
) -> Option<ElicitResult> {
    let request = ServerRequest::ElicitRequest(ElicitRequest::new(form));
    let options = PeerRequestOptions::with_timeout(most);
    let handle = peer.send_request_with_option(request, options).await.ok()?;
    let mut open = Open {
        peer: peer.clone(),
        request: Some(handle.id.clone()),
    };
    // rmcp itself closes one whose time is up.
    let answer = handle.await_response().await;
    open.request = None;
    match answer.ok()? {
        ClientResult::ElicitResult(answer) => Some(answer),
        _ => None,
    }
}

struct Open {
    peer: Peer<RoleServer>,
    request: Option<RequestId>,
}

impl Drop for Open {
    fn drop(&mut self) {
        let Some(request) = self.request.take() else {
            return;
        };
        let peer = self.peer.clone();
        let why = Some("the call was cancelled".to_owned());
        tokio::spawn(async move {
            let closing = CancelledNotificationParam::new(Some(request), why);
            // A client that is gone has closed it as well.
            let _ = peer.notify_cancelled(closing).await;
        });
    }
}
