//! Uses of discounts: which order has used which.

use sea_orm::entity::prelude::*;

pub use super::_entities::discount_uses::{ActiveModel, Column, Entity, Model};

impl ActiveModelBehavior for ActiveModel {}
