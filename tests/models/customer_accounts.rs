//! Passwords of accounts, as they are kept and changed.

use boxcar::{
    models::{
        Error,
        customer_accounts::{Changes, Model, PasswordChange},
        queue::{Client, Queue},
        types::{NewPassword, Password, Scalar},
    },
    transaction,
};
use std::time::Duration;

use crate::support::{PASSWORD, Shop};

const NEW_PASSWORD: &str = "gravel otter 3 plinth dune";

#[tokio::test]
async fn a_new_password_is_kept_as_a_hash_and_ends_the_tokens_that_are_out() {
    let shop = Shop::open().await;
    let ada = shop.customer("ada").await.account_id;
    let (before, _) = Model::find(&shop.ctx.db, ada).await.unwrap();
    change_password(&shop, ada).await;
    let (after, _) = Model::find(&shop.ctx.db, ada).await.unwrap();
    for (account, password) in [(&before, PASSWORD), (&after, NEW_PASSWORD)] {
        assert!(account.password_hash.starts_with("$argon2id$"));
        assert!(!account.password_hash.contains(password));
    }
    assert_ne!(before.password_hash, after.password_hash);
    assert_eq!(after.token_version, before.token_version + 1);
}

#[tokio::test]
async fn a_change_is_not_made_when_the_password_that_allowed_it_has_been_replaced() {
    let shop = Shop::open().await;
    let db = &shop.ctx.db;
    let ada = shop.customer("ada").await.account_id;
    let (account, _) = Model::find(db, ada).await.unwrap();
    let change = PasswordChange {
        current_password: Password::given(PASSWORD),
        new_password: NewPassword::parse("stolen goods 7 lantern mire").unwrap(),
    };
    let queue = Queue::new(1, 1, Duration::ZERO);
    let turn = queue.turn(Client::System).await.unwrap();
    let stolen = change.hashed(db, &account, &turn).await.unwrap();
    change_password(&shop, ada).await;
    let (replaced, _) = Model::find(db, ada).await.unwrap();
    let outcome = transaction!(db, |txn| replaced.clone().change(txn, &stolen).await);
    assert!(matches!(outcome, Err(Error::Revoked)), "{outcome:?}");
    assert_eq!(Model::find(db, ada).await.unwrap().0, replaced);
}

async fn change_password(shop: &Shop, id: i64) {
    let changes = Changes {
        password: Some(NewPassword::parse(NEW_PASSWORD).unwrap()),
        ..Changes::default()
    };
    let changes = changes
        .hashed(&shop.ctx.db, id, Client::System)
        .await
        .unwrap();
    transaction!(&shop.ctx, |txn| {
        let (account, _) = Model::find_locked(txn, id).await?;
        account.change(txn, &changes).await
    })
    .unwrap();
}
