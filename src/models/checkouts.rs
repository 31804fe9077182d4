//! Checkouts: carts that are open, and those that ended.

use sea_orm::entity::prelude::*;

pub use super::_entities::checkouts::{ActiveModel, Column, Entity, Model};

impl ActiveModelBehavior for ActiveModel {}
