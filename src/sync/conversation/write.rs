//! The texts that the proxy writes itself: operations anew from what was parsed, identities, refusals.

use super::UP;
use crate::{
    config,
    error::Rejection,
    permit::Permitted,
    sync::{client_message::OperationKind, refused::sentence},
};

/// `,"udfPath":…,"args":…`, from what was parsed.
pub(super) fn write_call(
    permitted: &Permitted<'_>,
    policy: &config::Adapter,
    out: &mut Vec<u8>,
) -> Result<(), Rejection> {
    let call = permitted.call();
    // The characters of a path that was parsed need no escapes.
    out.extend_from_slice(b",\"udfPath\":\"");
    out.extend_from_slice(call.path.as_str().as_bytes());
    out.extend_from_slice(b"\",\"args\":");
    permitted.write_args(policy, out)
}

pub(super) fn write_authenticate(base_version: u32, token: Option<&str>, up: &mut Vec<u8>) {
    let message = match token {
        Some(token) => serde_json::json!({
            "type": "Authenticate", "baseVersion": base_version, "tokenType": "User", "value": token,
        }),
        None => serde_json::json!({ "type": "Authenticate", "baseVersion": base_version, "tokenType": "None" }),
    };
    UP.text(message.to_string().as_bytes(), up);
}

pub(super) fn refusal_response(kind: OperationKind, request_id: u32, refusal: Rejection) -> String {
    let mut response = serde_json::json!({
        "type": format!("{}Response", kind.name()),
        "requestId": request_id,
        "success": false,
        "result": sentence(refusal),
        "logLines": [],
    });
    if let (OperationKind::Mutation, Some(members)) = (kind, response.as_object_mut()) {
        members.insert("ts".to_owned(), serde_json::Value::Null);
    }
    response.to_string()
}

pub(super) fn write_number(number: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

impl OperationKind {
    /// The name in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Mutation => "Mutation",
            Self::Action => "Action",
        }
    }
}
