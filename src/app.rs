//! The wiring table: routes, initializers, tasks.

use std::path::Path;

use async_trait::async_trait;
use axum::{Router, middleware::from_fn};
use loco_rs::{
    Result,
    app::{AppContext, Hooks, Initializer},
    bgworker::Queue,
    boot::{BootResult, ServeParams, StartMode, create_app},
    config::Config,
    controller::{
        AppRoutes,
        middleware::{MiddlewareLayer, default_middleware_stack},
    },
    environment::Environment,
    task::Tasks,
};
use migration::Migrator;

use crate::{
    context::Context,
    controllers, initializers, log,
    middleware::{Inside, Outside, revalidate},
    models::connection,
    server, settings, tasks,
};

/// The store.
#[derive(Clone, Copy, Debug)]
pub struct App;

#[async_trait]
impl Hooks for App {
    fn app_name() -> &'static str {
        env!("CARGO_CRATE_NAME")
    }

    fn app_version() -> String {
        env!("CARGO_PKG_VERSION").to_owned()
    }

    async fn load_config(environment: &Environment) -> Result<Config> {
        settings::read(environment)
    }

    async fn boot(
        mode: StartMode,
        environment: &Environment,
        config: Config,
    ) -> Result<BootResult> {
        create_app::<Self, Migrator>(mode, environment, config).await
    }

    async fn after_context(mut ctx: AppContext) -> Result<AppContext> {
        // Loco's own pool, before anything can fail: what is not closed leaves a `-wal` file behind.
        ctx.db.close_by_ref().await?;
        ctx.db = connection::connect(&ctx.config.database).await?;
        Context::install(&ctx)?;
        Ok(ctx)
    }

    fn init_logger(ctx: &AppContext) -> Result<bool> {
        log::start(&ctx.config.logger).map(|()| true)
    }

    async fn initializers(_: &AppContext) -> Result<Vec<Box<dyn Initializer>>> {
        Ok(vec![
            Box::new(initializers::migrations::MigrationCheck),
            Box::new(initializers::redis::RedisCheck),
            Box::new(initializers::mail::Mail),
            Box::new(initializers::metrics::Metrics),
            Box::new(Outside),
            Box::new(initializers::config_audit::ConfigAudit),
            Box::new(initializers::first_admin::FirstAdmin),
            Box::new(initializers::demo::Demo),
        ])
    }

    /// The first is the innermost.
    fn middlewares(ctx: &AppContext) -> Vec<Box<dyn MiddlewareLayer>> {
        let mut stack: Vec<Box<dyn MiddlewareLayer>> = vec![Inside::new(ctx)];
        stack.extend(default_middleware_stack(ctx));
        // Ours do the same, and more: Loco's log holds the query, its timeout does not know whether a write has
        // begun to commit, and each of its layers costs a request as much as what it does.
        let ours = [
            "timeout_request",
            "catch_panic",
            "secure_headers",
            "logger",
            "request_id",
        ];
        stack.retain(|layer| !ours.contains(&layer.name()));
        stack
    }

    async fn before_routes(_: &AppContext) -> Result<Router<AppContext>> {
        Ok(initializers::swagger::routes())
    }

    /// Each route has a state of its own, which costs next to nothing to clone: axum clones the router's, which
    /// is Loco's context with the whole configuration, for every request to a route that has none.
    fn routes(ctx: &AppContext) -> AppRoutes {
        match Context::of(ctx) {
            Ok(ctx) => AppRoutes::empty()
                .add_route(controllers::health::routes(&ctx))
                .add_route(controllers::routes(&ctx))
                .add_route(
                    controllers::problems::routes()
                        .layer(from_fn(revalidate::revalidate))
                        .layer(revalidate::compression()),
                ),
            // The middlewares fail then, and say why.
            Err(_) => AppRoutes::empty(),
        }
    }

    async fn serve(router: Router, ctx: &AppContext, at: &ServeParams) -> Result<()> {
        server::serve(router, ctx, at).await
    }

    async fn connect_workers(_: &AppContext, _: &Queue) -> Result<()> {
        Ok(())
    }

    fn register_tasks(tasks: &mut Tasks) {
        tasks.register(tasks::admin_create::AdminCreate);
        tasks.register(tasks::customers_export::CustomersExport);
        tasks.register(tasks::events_prune::EventsPrune);
        tasks.register(tasks::idempotency_prune::IdempotencyPrune);
        tasks.register(tasks::keys_create::KeysCreate);
        tasks.register(tasks::keys_delete::KeysDelete);
        tasks.register(tasks::keys_list::KeysList);
        tasks.register(tasks::openapi_write::OpenapiWrite(|| {
            Ok(&initializers::swagger::document()?.yaml)
        }));
        tasks.register(tasks::orders_export::OrdersExport);
        tasks.register(tasks::products_export::ProductsExport);
        tasks.register(tasks::products_import::ProductsImport);
        tasks.register(tasks::rates_import::RatesImport);
        tasks.register(tasks::store_backup::StoreBackup);
        tasks.register(tasks::store_copy::StoreCopy);
        tasks.register(tasks::webhooks_retry::WebhooksRetry);
        // tasks-inject (do not remove)
    }

    async fn truncate(ctx: &AppContext) -> Result<()> {
        Ok(initializers::demo::empty(ctx).await?)
    }

    async fn seed(ctx: &AppContext, _: &Path) -> Result<()> {
        initializers::demo::fill(ctx).await
    }
}
