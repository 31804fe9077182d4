//! Pages that explain each type of problem to people. They need no token, and the document does not list them.

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
