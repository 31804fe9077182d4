//! What each type of problem means, as pages for people. They are no part of the API, and open.

use axum::{extract::Path, routing::get};
use loco_rs::controller::Routes;

use crate::views::{
    problem::{Kind, Problem},
    problem_page::{ProblemIndex, ProblemPage},
};

/// The routes of the pages, to which the types of problems lead.
#[must_use]
pub fn routes() -> Routes {
    Routes::new()
        .add("/problems", get(list).with_state(()))
        .add("/problems/{name}", get(show).with_state(()))
}

async fn list() -> ProblemIndex {
    ProblemIndex
}

async fn show(Path(name): Path<String>) -> Result<ProblemPage, Problem> {
    Kind::named(&name)
        .map(ProblemPage)
        .ok_or_else(|| Problem::new(Kind::NOT_FOUND))
}
