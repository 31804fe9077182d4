//! The table of problems: one entry for each kind of error that the API answers.

use std::ops::Deref;

use axum::http::StatusCode;

/// What kind of problem it is: one entry of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind(&'static Entry);

/// What is said of a kind of problem.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its stable URI, relative to the server.
    pub uri: &'static str,
    /// The status of its answers.
    pub status: StatusCode,
    /// Its title.
    pub title: &'static str,
    /// What is said when there is nothing more exact to say.
    pub detail: &'static str,
    /// What it means, for people.
    pub meaning: &'static str,
    /// What a client can do, for people.
    pub remedy: &'static str,
}

impl Kind {
    /// The request cannot be understood.
    pub const MALFORMED_REQUEST: Self = Self(&Entry {
        uri: "/problems/malformed-request",
        status: StatusCode::BAD_REQUEST,
        title: "Malformed request",
        detail: "The server could not understand the request.",
        meaning: "The server could not understand the request: the body is not JSON or ended early, the id in \
                  the path is not a 64-bit integer, a header is not written as it should be, or the cursor was \
                  not given out by this list in this order.",
        remedy: "Correct what detail names, and send the request again.",
    });

    /// There is no valid token.
    pub const UNAUTHENTICATED: Self = Self(&Entry {
        uri: "/problems/unauthenticated",
        status: StatusCode::UNAUTHORIZED,
        title: "Unauthenticated",
        detail: "A valid bearer token is required.",
        meaning: "The request had no token, or the token is no longer valid: it has expired, was made by another \
                  store, or its account was deleted or got a new password or role.",
        remedy: "Log in and send the new token, as Authorization: Bearer and the token.",
    });

    /// The login failed.
    pub const INVALID_CREDENTIALS: Self = Self(&Entry {
        uri: "/problems/invalid-credentials",
        status: StatusCode::UNAUTHORIZED,
        title: "Invalid credentials",
        detail: "The username or the password is wrong.",
        meaning: "There is no account with this username and password. The answer does not say which of the two \
                  is wrong.",
        remedy: "Check both and try again. Too many failed logins are refused for a while. An administrator can \
                 set a new password.",
    });

    /// The role does not allow it.
    pub const FORBIDDEN: Self = Self(&Entry {
        uri: "/problems/forbidden",
        status: StatusCode::FORBIDDEN,
        title: "Forbidden",
        detail: "Your role does not allow this.",
        meaning: "The token is valid, but the role of its account does not allow this.",
        remedy: "Log in with an account that may do this, or ask an administrator.",
    });

    /// There is no such route or resource.
    pub const NOT_FOUND: Self = Self(&Entry {
        uri: "/problems/not-found",
        status: StatusCode::NOT_FOUND,
        title: "Not found",
        detail: "The resource was not found.",
        meaning: "There is no such path, or no resource with this id: it never existed, was deleted, or belongs \
                  to another account.",
        remedy: "Check the path and the id.",
    });

    /// The route does not know the method.
    pub const METHOD_NOT_ALLOWED: Self = Self(&Entry {
        uri: "/problems/method-not-allowed",
        status: StatusCode::METHOD_NOT_ALLOWED,
        title: "Method not allowed",
        detail: "This path does not take this method. The Allow header lists the methods that it takes.",
        meaning: "The path exists, but does not take this method.",
        remedy: "Use one of the methods in the Allow header.",
    });

    /// A unique value is taken, or another request was faster.
    pub const CONFLICT: Self = Self(&Entry {
        uri: "/problems/conflict",
        status: StatusCode::CONFLICT,
        title: "Conflict",
        detail: "The request does not fit the present state of the resource.",
        meaning: "The request does not fit the present state: a value that has to be unique is taken, the last \
                  administrator would be gone, or the stock of the product is not tracked.",
        remedy: "Where errors names a field, choose another value for it; otherwise read detail.",
    });

    /// There are not enough pieces.
    pub const INSUFFICIENT_STOCK: Self = Self(&Entry {
        uri: "/problems/insufficient-stock",
        status: StatusCode::CONFLICT,
        title: "Insufficient stock",
        detail: "There are not enough pieces in stock.",
        meaning: "There are fewer pieces than were asked for. Nothing was ordered or taken away. Each entry of \
                  errors names a product with the pieces requested and available.",
        remedy: "Ask for no more than is available, or wait for new stock.",
    });

    /// The order's status does not allow it.
    pub const INVALID_TRANSITION: Self = Self(&Entry {
        uri: "/problems/invalid-transition",
        status: StatusCode::CONFLICT,
        title: "Invalid transition",
        detail: "The resource has a status that does not allow this.",
        meaning: "The resource has a status that does not allow this. An order goes from placed to paid, shipped and \
                  delivered, one step at a time, and can be cancelled while it is placed or paid. A checkout can be \
                  changed, completed and cancelled while it is open. A webhook delivery can be repeated when it is \
                  delivered or failed, and only while its endpoint is enabled.",
        remedy: "Read the resource again to see its status.",
    });

    /// The checkout costs something else than the buyer expects.
    pub const TOTALS_CHANGED: Self = Self(&Entry {
        uri: "/problems/totals-changed",
        status: StatusCode::CONFLICT,
        title: "Totals changed",
        detail: "The checkout costs something else now.",
        meaning: "A price, a rate or a discount code has changed since the buyer saw the total, so that the checkout \
                  costs something else than expected_total. Nothing was ordered.",
        remedy: "Show the buyer the checkout that is in the member checkout, and complete it with its total.",
    });

    /// No stock is held.
    pub const HOLD_DISABLED: Self = Self(&Entry {
        uri: "/problems/hold-disabled",
        status: StatusCode::CONFLICT,
        title: "Hold disabled",
        detail: "No stock is held for this checkout.",
        meaning: "The store holds no stock for checkouts, or has held it for this one as long as it can.",
        remedy: "Complete the checkout without a hold.",
    });

    /// An order of the customer is under way.
    pub const OPEN_ORDERS: Self = Self(&Entry {
        uri: "/problems/open-orders",
        status: StatusCode::CONFLICT,
        title: "Open orders",
        detail: "An order of yours is placed or paid, and not shipped yet.",
        meaning: "An account cannot be erased by its owner while an order of theirs is placed or paid: the shop has to \
                  know where to send it.",
        remedy: "Cancel the order, wait until it is shipped, or ask an administrator.",
    });

    /// The first request with this key is still running.
    pub const IDEMPOTENCY_IN_PROGRESS: Self = Self(&Entry {
        uri: "/problems/idempotency-in-progress",
        status: StatusCode::CONFLICT,
        title: "Idempotency key in progress",
        detail: "The first request with this Idempotency-Key is still running.",
        meaning: "An earlier request with this Idempotency-Key is still running.",
        remedy: "Wait a moment and send the same request again: it will get the answer of the first one.",
    });

    /// What is there is not what the caller has seen.
    pub const PRECONDITION_FAILED: Self = Self(&Entry {
        uri: "/problems/precondition-failed",
        status: StatusCode::PRECONDITION_FAILED,
        title: "Precondition failed",
        detail: "The resource has changed since you read it: its ETag does not match the If-Match header.",
        meaning: "The resource has changed since you read it: its ETag is not the one in If-Match. Nothing was \
                  written.",
        remedy: "Read it again, make your change to the new state, and send that with the new ETag.",
    });

    /// The body is too large.
    pub const PAYLOAD_TOO_LARGE: Self = Self(&Entry {
        uri: "/problems/payload-too-large",
        status: StatusCode::PAYLOAD_TOO_LARGE,
        title: "Payload too large",
        detail: "The body is larger than the server takes.",
        meaning: "The body is larger than the server takes.",
        remedy: "Send less.",
    });

    /// The body is not of a type that is understood.
    pub const UNSUPPORTED_MEDIA_TYPE: Self = Self(&Entry {
        uri: "/problems/unsupported-media-type",
        status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
        title: "Unsupported media type",
        detail: "The body has to be JSON, with the Content-Type application/json.",
        meaning: "The Content-Type header does not say that the body is JSON.",
        remedy: "Send JSON, with the header Content-Type: application/json.",
    });

    /// Rules are broken.
    pub const VALIDATION_FAILED: Self = Self(&Entry {
        uri: "/problems/validation-failed",
        status: StatusCode::UNPROCESSABLE_ENTITY,
        title: "Validation failed",
        detail: "Some fields are invalid.",
        meaning: "The request was understood and breaks rules. Each entry of errors names a field or parameter \
                  by its pointer, the rule by its code, and says in a sentence what is wrong.",
        remedy: "Correct everything that errors names, and send the request again.",
    });

    /// The key stands for another request.
    pub const IDEMPOTENCY_MISMATCH: Self = Self(&Entry {
        uri: "/problems/idempotency-mismatch",
        status: StatusCode::UNPROCESSABLE_ENTITY,
        title: "Idempotency key used for another request",
        detail: "This Idempotency-Key was used for another request.",
        meaning: "This Idempotency-Key was used within the last 24 hours for a different request.",
        remedy: "Use a new key for a new request.",
    });

    /// The client's quota is used up.
    pub const RATE_LIMITED: Self = Self(&Entry {
        uri: "/problems/rate-limited",
        status: StatusCode::TOO_MANY_REQUESTS,
        title: "Rate limited",
        detail: "There were too many requests. Wait as many seconds as the Retry-After header says.",
        meaning: "The number of requests allowed for this route is used up, or too many logins have failed.",
        remedy: "Wait as many seconds as the Retry-After header says.",
    });

    /// Something that should not happen.
    pub const INTERNAL: Self = Self(&Entry {
        uri: "/problems/internal",
        status: StatusCode::INTERNAL_SERVER_ERROR,
        title: "Internal error",
        detail: "The server made an error. The request_id finds it in the log.",
        meaning: "The server made an error.",
        remedy: "Try again. If the error stays, tell the store's operators the request_id, which finds it in the \
                 log.",
    });

    /// The store cannot work just now. Nothing was done.
    pub const UNAVAILABLE: Self = Self(&Entry {
        uri: "/problems/unavailable",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "Unavailable",
        detail: "The store cannot answer just now. Nothing was done. Try again shortly.",
        meaning: "The store cannot answer just now: its database is away, busy or too slow, or too much work \
                  waits already. The request was not carried out, and will not be carried out later.",
        remedy: "Try again after as many seconds as the Retry-After header says.",
    });

    /// The database went away while it committed: the work is done, or it is not.
    pub const OUTCOME_UNKNOWN: Self = Self(&Entry {
        uri: "/problems/outcome-unknown",
        status: StatusCode::GATEWAY_TIMEOUT,
        title: "Outcome unknown",
        detail: "The store cannot know whether this was done. Repeat the request with the same \
                 Idempotency-Key, or look at the resource first.",
        meaning: "The connection to the database broke while the change was being committed. The change was \
                  either made completely or not at all, and the store cannot know which.",
        remedy: "Send a POST again with the same Idempotency-Key: it is carried out only once, and answered as \
                 the first time. Without a key, or after another method, look at the resource first.",
    });

    /// A status that no other kind stands for (RFC 9457, 4.2.1).
    pub const OTHER: Self = Self(&Entry {
        uri: "about:blank",
        status: StatusCode::INTERNAL_SERVER_ERROR,
        title: "Error",
        detail: "The request cannot be carried out.",
        meaning: "The request was not carried out.",
        remedy: "Read detail.",
    });

    /// Every kind that has a name. Where a status has several, the first stands for an answer of that status
    /// without a problem of its own: the router's 404, say.
    pub const ALL: [Self; 22] = [
        Self::MALFORMED_REQUEST,
        Self::UNAUTHENTICATED,
        Self::INVALID_CREDENTIALS,
        Self::FORBIDDEN,
        Self::NOT_FOUND,
        Self::METHOD_NOT_ALLOWED,
        Self::CONFLICT,
        Self::INSUFFICIENT_STOCK,
        Self::INVALID_TRANSITION,
        Self::OPEN_ORDERS,
        Self::TOTALS_CHANGED,
        Self::HOLD_DISABLED,
        Self::IDEMPOTENCY_IN_PROGRESS,
        Self::PRECONDITION_FAILED,
        Self::PAYLOAD_TOO_LARGE,
        Self::UNSUPPORTED_MEDIA_TYPE,
        Self::VALIDATION_FAILED,
        Self::IDEMPOTENCY_MISMATCH,
        Self::RATE_LIMITED,
        Self::INTERNAL,
        Self::UNAVAILABLE,
        Self::OUTCOME_UNKNOWN,
    ];

    /// The kind of that name, the last part of its URI.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Its name, such as `not-found`.
    pub fn name(self) -> &'static str {
        self.uri.trim_start_matches("/problems/")
    }

    /// What the table says of it.
    pub const fn entry(self) -> &'static Entry {
        self.0
    }

    /// The kind that an answer without a problem of its own stands for.
    pub fn of_status(status: StatusCode) -> Self {
        let mut kinds = Self::ALL.into_iter();
        kinds
            .find(|kind| kind.status == status)
            .unwrap_or(Self::OTHER)
    }
}

impl Deref for Kind {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        self.0
    }
}
