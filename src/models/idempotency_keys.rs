//! Idempotency keys: what was answered to a POST, so that its retry is answered the same.

use sea_orm::entity::prelude::*;

pub use super::_entities::idempotency_keys::{ActiveModel, Column, Entity, Model};

impl ActiveModelBehavior for ActiveModel {}
