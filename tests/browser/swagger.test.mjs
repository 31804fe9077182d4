// Somebody who has only the Swagger page: logs in, authorises, makes a key, looks at the catalogue with it, and orders.
//
// BOXCAR_URL       where the server is
// ADMIN_USERNAME, ADMIN_PASSWORD
// SCREENSHOTS      a directory for pictures of each step, kept as artifacts

import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { launch, quit } from './chromium.mjs'

const { BOXCAR_URL: server, ADMIN_USERNAME: username, ADMIN_PASSWORD: password, SCREENSHOTS } = process.env
const complaints = []
const requested = []
let browser, page, shots = 0

async function screenshot(name, options = {}) {
  if (!SCREENSHOTS) return
  const path = join(SCREENSHOTS, `${String(++shots).padStart(2, '0')}-${name}.png`)
  await page.screenshot({ path, ...options })
}

function operation(id) {
  return page.locator(`.opblock[id$="-${id}"]`)
}

// Opens an operation, fills it in with `fill`, sends it, and answers what the page shows.
async function tryOut(id, fill = async () => {}) {
  const block = operation(id)
  await block.locator('.opblock-summary-control').click()
  await block.getByRole('button', { name: /^(Try it out|Execute)$/ }).first().waitFor()
  // The page may be configured to begin with it.
  const begin = block.getByRole('button', { name: 'Try it out' })
  if (await begin.count()) await begin.click()
  await fill(block)
  await block.getByRole('button', { name: 'Execute' }).click()
  const live = block.locator('.live-responses-table tbody tr.response')
  await live.waitFor()
  await live.scrollIntoViewIfNeeded()
  await screenshot(id)
  return {
    status: Number(await live.locator('.response-col_status').innerText()),
    body: JSON.parse(await live.locator('.highlight-code pre, pre.microlight').first().innerText()),
  }
}

// Opens the dialog, does something with the part of it for a kind of credential, and closes it.
async function authorise(kind, act) {
  await page.locator('.auth-wrapper button.authorize').first().click()
  const dialog = page.locator('.dialog-ux')
  await act(dialog.locator('.auth-container').filter({ has: page.locator('h4 code', { hasText: kind }) }), dialog)
  await dialog.locator('.close-modal').click()
  await dialog.waitFor({ state: 'detached' })
}

const apply = (credential) => async (part) => {
  await part.locator('input').fill(credential)
  await part.getByRole('button', { name: 'Apply credentials' }).click()
  await part.getByRole('button', { name: 'Remove authorization' }).waitFor()
  await screenshot('authorised')
}

const remove = (part) => part.getByRole('button', { name: 'Remove authorization' }).click()

const body = (value) => (block) => block.locator('textarea.body-param__text').fill(JSON.stringify(value))

before(async () => {
  if (SCREENSHOTS) mkdirSync(SCREENSHOTS, { recursive: true })
  browser = await launch({ viewport: { width: 1280, height: 1000 } })
  page = await browser.newPage()
  browser.on('request', (request) => requested.push(request.url()))
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(`${message.type()}: ${message.text()}`)
  })
  page.on('pageerror', (error) => complaints.push(`uncaught: ${error}`))
  page.on('requestfailed', (request) => complaints.push(`failed: ${request.url()} ${request.failure()?.errorText}`))
})

after(async () => {
  await quit()
})

test('the page shows every operation of the document, and no errors', async () => {
  await page.goto(`${server}/swagger`)
  await page.locator('.opblock').first().waitFor()
  await screenshot('page', { fullPage: true })

  const document = await (await fetch(`${server}/api-docs/openapi.json`)).json()
  const documented = Object.values(document.paths).flatMap((path) =>
    Object.values(path).map((operation) => operation.operationId).filter(Boolean))
  assert.equal(await page.locator('.opblock').count(), documented.length)
  for (const id of documented) assert.equal(await operation(id).count(), 1, id)
  assert.deepEqual(
    await page.locator('.opblock-tag').evaluateAll((tags) => tags.map((tag) => tag.dataset.tag)),
    document.tags.map((tag) => tag.name),
  )
  assert.equal(await page.locator('.errors-wrapper').count(), 0, 'the page complains of the document')
})

let token
test('log in', async () => {
  const { status, body: answer } = await tryOut('login', body({ username, password }))
  assert.equal(status, 200)
  token = answer.token
  assert.match(token, /^[\w-]+\.[\w-]+\.[\w-]+$/)
})

test('authorise with the token, which is one of the kinds of credentials', async () => {
  const { components } = await (await fetch(`${server}/api-docs/openapi.json`)).json()
  await authorise('bearer', async (part, dialog) => {
    const kinds = await dialog.locator('.auth-container h4 code').allInnerTexts()
    assert.deepEqual(kinds, ['bearer', 'publishable_key', 'secret_key'])
    assert.deepEqual(kinds, Object.keys(components.securitySchemes).sort())
    await screenshot('kinds')
    await apply(token)(part)
  })
})

test('the token is still there when the page is loaded again', async () => {
  await page.reload()
  await page.locator('.auth-wrapper button.authorize.locked').first().waitFor()
})

let key
test('make a publishable key', async () => {
  const { status, body: answer } = await tryOut('create_api_key', body({ name: 'Shop', kind: 'publishable' }))
  assert.equal(status, 201)
  key = answer.key
  assert.match(key, /^pk_\w+$/)
})

let product
test('list products with the key alone, as the description says', async () => {
  await authorise('bearer', remove)
  await authorise('publishable_key', apply(key))
  const sent = page.waitForRequest((request) => new URL(request.url()).pathname === '/api/v1/products')
  const { status, body: list } = await tryOut('list_products')
  assert.equal(await (await sent).headerValue('Authorization'), `Bearer ${key}`)
  assert.equal(status, 200)
  const description = await operation('list_products').locator('.opblock-description').innerText()
  assert.match(description, /For every account, publishable keys, and secret keys with products:read or visitors\.$/)
  await authorise('publishable_key', remove)
  await authorise('bearer', apply(token))
  product = list.items.find((item) => item.available)
  assert.ok(product, 'nothing can be bought')
})

test('place an order', async () => {
  const order = { customer_id: 1, items: [{ product_id: product.id, quantity: 1 }] }
  const { status, body: answer } = await tryOut('place_order', body(order))
  assert.equal(status, 201)
  assert.equal(answer.items[0].product_id, product.id)
  assert.equal(answer.total, product.price)
})

// Whoever presses Execute at once must not be refused for a precondition, or be given somebody's order again.
test('what the page proposes is accepted', async () => {
  const { status } = await tryOut('change_product')
  assert.equal(status, 200)
  const block = operation('place_order')
  const key = block.locator('tr[data-param-name="Idempotency-Key"] input')
  assert.equal(await key.inputValue(), '', 'one key for everybody')
})

test('nothing was asked of anybody else, and the console is empty', async () => {
  const { origin } = new URL(server)
  const elsewhere = requested.filter((url) => !url.startsWith('data:') && new URL(url).origin !== origin)
  assert.ok(requested.some((url) => url.endsWith('/api/v1/orders')))
  assert.deepEqual(elsewhere, [])
  assert.deepEqual(complaints, [])
})
