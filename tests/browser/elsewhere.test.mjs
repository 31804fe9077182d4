// A page of another origin calls the API through nginx.
//
// The server lets a client send 8 requests of a kind.
//
// BOXCAR_URL       where nginx is
// PAGE_PORT        a free port: CORS_ALLOW_ORIGINS names http://localhost:PAGE_PORT, and no other origin
// ADMIN_USERNAME, ADMIN_PASSWORD

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { after, before, test } from 'node:test'
import { launch, quit } from './chromium.mjs'

const { BOXCAR_URL: proxy, PAGE_PORT: port, ADMIN_USERNAME: username, ADMIN_PASSWORD: password } = process.env
const api = `${proxy}/api/v1`
let browser, site, page, token

// Sends a request from the page, and answers what its script can read.
function call(method, path, { headers = {}, body } = {}, from = page) {
  if (token) headers = { Authorization: `Bearer ${token}`, ...headers }
  if (body) headers = { 'Content-Type': 'application/json', ...headers }
  const options = { method, headers, body: body && JSON.stringify(body) }
  return from.evaluate(async ([url, options]) => {
    const response = await fetch(url, options)
    const text = await response.text()
    return {
      status: response.status,
      headers: Object.fromEntries(response.headers),
      body: text && JSON.parse(text),
    }
  }, [api + path, options])
}

// The script can read the problem.
function assertProblem({ status, headers, body }, expected) {
  assert.equal(status, expected)
  assert.match(headers['content-type'], /^application\/problem\+json/)
  assert.equal(body.status, expected)
  assert.ok(body.detail)
  assert.equal(body.request_id, headers['x-request-id'])
}

before(async () => {
  site = createServer((_, response) => {
    response.setHeader('Content-Type', 'text/html')
    response.end('<!doctype html><title>Shop</title>')
  }).listen(port, '127.0.0.1')
  await once(site, 'listening')
  browser = await launch()
  page = await browser.newPage()
  await page.goto(`http://localhost:${port}`)
})

after(async () => {
  await quit()
  site?.closeAllConnections()
  site?.close()
})

test('without a token it can read why it was refused', async () => {
  const refused = await call('GET', '/customers')
  assertProblem(refused, 401)
  assert.match(refused.headers['www-authenticate'], /^Bearer/)
})

test('it logs in', async () => {
  const { status, body } = await call('POST', '/auth/login', { body: { username, password } })
  assert.equal(status, 200)
  token = body.token
})

let etag
test('it reads a product, its tag and what is left of its quota', async () => {
  const { status, headers, body } = await call('GET', '/products/1')
  assert.equal(status, 200)
  assert.equal(body.id, 1)
  etag = headers.etag
  assert.match(etag, /^"[^"]+"$/, 'a strong tag')
  assert.match(headers.ratelimit, /r=\d+/)
  assert.match(headers['ratelimit-policy'], /q=\d+/)
})

test('a product that has not changed is a 304', async () => {
  const { status } = await call('GET', '/products/1', { headers: { 'If-None-Match': etag } })
  assert.equal(status, 304)
})

test('it changes the product that it has read, and not one that has changed since', async () => {
  const change = { headers: { 'If-Match': etag }, body: { description: 'Changed from another origin.' } }
  const changed = await call('PATCH', '/products/1', change)
  assert.equal(changed.status, 200)
  assert.notEqual(changed.headers.etag, etag)
  assertProblem(await call('PATCH', '/products/1', change), 412)
})

test('an order that is sent twice is placed once', async () => {
  const { body: list } = await call('GET', '/products')
  const product_id = list.items.find((item) => item.available).id
  const order = {
    headers: { 'Idempotency-Key': 'from-another-origin' },
    body: { customer_id: 1, items: [{ product_id, quantity: 1 }] },
  }
  const first = await call('POST', '/orders', order)
  assert.equal(first.status, 201)
  assert.match(first.headers.location, /\/orders\/\d+$/)
  const second = await call('POST', '/orders', order)
  assert.equal(second.headers.location, first.headers.location)
  assert.equal(second.headers['idempotency-replayed'], 'true')
})

test('a page of an origin that is not named can read no answer and change no product', async () => {
  const stranger = await browser.newPage()
  await stranger.goto(`http://127.0.0.1:${port}`)
  await assert.rejects(call('GET', '/products/2', {}, stranger), /Failed to fetch/)
  const change = { body: { description: 'Changed by a stranger.' } }
  await assert.rejects(call('PATCH', '/products/2', change, stranger), /Failed to fetch/)
  const { body } = await call('GET', '/products/2')
  assert.notEqual(body.description, change.body.description)
})

test('when its quota is used up it can read how long it has to wait', async () => {
  let answer
  for (let reads = 0; reads < 9; reads++) answer = await call('GET', '/products/1')
  assertProblem(answer, 429)
  assert.match(answer.headers['retry-after'], /^\d+$/)
})
