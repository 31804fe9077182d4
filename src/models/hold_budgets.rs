//! Hold budgets: how many pieces each visitor's address holds.

use sea_orm::entity::prelude::*;

pub use super::_entities::hold_budgets::{ActiveModel, Column, Entity, Model};

impl ActiveModelBehavior for ActiveModel {}
