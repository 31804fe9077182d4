// The page of docs/storefront.md, served from another origin: a guest buys, and somebody registers, logs in and buys.
//
// BOXCAR_URL        where the server is
// PAGE              the page
// PAGE_PORT         a free port: CORS_ALLOW_ORIGINS and SHOP_URL are http://localhost:PAGE_PORT
// PUBLISHABLE_KEY   the key that the document makes
// LIMITED_KEY       one for 2 requests of a kind
// MAILS_DIR         where mails are written to
// ADMIN_USERNAME, ADMIN_PASSWORD
// SCREENSHOTS       a directory for pictures of each step, on a phone and on a desktop

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdirSync, readFileSync, readdirSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { launch, quit } from './chromium.mjs'

const { BOXCAR_URL: server, PAGE_PORT: port, MAILS_DIR, SCREENSHOTS } = process.env
const source = readFileSync(process.env.PAGE, 'utf8')
const origin = `http://localhost:${port}`
const person = { name: 'Robin Hale', email: 'robin@example.com', password: 'amber ferry 4 lantern moss' }
const NAME = 'Skillet <b>26 cm</b>'
const address = { Email: person.email, Name: person.name, Street: '12 Harbour Street', City: 'Hamburg', Country: 'de' }
const complaints = []
const expected = []
let key = process.env.PUBLISHABLE_KEY
let site, page, admin, shots = 0

// Fills in what the document says that one fills in.
function filledIn() {
  return Object.entries({ 'pk_…': key, 'http://localhost:5150': server }).reduce((text, [blank, value]) => {
    const parts = text.split(blank)
    assert.equal(parts.length, 2, `${blank} is there once`)
    return parts.join(value)
  }, source)
}

// Looks at the page as a phone and as a desktop show it.
async function look(name) {
  const step = String(++shots).padStart(2, '0')
  for (const [device, viewport] of [['phone', { width: 375, height: 720 }], ['desktop', { width: 1280, height: 900 }]]) {
    await page.setViewportSize(viewport)
    const width = await page.evaluate(() => document.documentElement.scrollWidth)
    assert.ok(width <= viewport.width, `${name}: ${width} pixels are too wide for a ${device}`)
    if (SCREENSHOTS) await page.screenshot({ path: join(SCREENSHOTS, `storefront-${step}-${name}-${device}.png`) })
  }
}

const message = (text) => page.locator('#message', { hasText: text }).waitFor()
const orders = () => page.locator('#orders li')
const cards = () => page.locator('#products li')
const press = (name) => page.getByRole('button', { name, exact: true }).click()
const pieces = (name = NAME) => page.getByLabel(`Pieces of ${name}`)
const total = (name, amount) => page.locator('#totals li', { hasText: new RegExp(`^${name}\\s*\\${amount}$`) }).waitFor()
const storedCart = () => page.evaluate(() => localStorage.cart)

async function fill(form, fields) {
  for (const [label, value] of Object.entries(fields)) await page.locator(`#${form}`).getByLabel(label).fill(value)
}

// Changes the product that is bought, as an administrator.
async function change(fields) {
  const changed = { method: 'PATCH', headers: admin, body: JSON.stringify(fields) }
  assert.equal((await fetch(`${server}/api/v1/products/1`, changed)).status, 200)
}

async function addToCart() {
  await cards().first().getByRole('button').click()
  await message(`${NAME} is in your cart.`)
}

async function logIn(password) {
  await fill('login', { Email: person.email, Password: password })
  await press('Log in')
}

// The link of the newest mail that leads to the page, as soon as it is there.
async function link() {
  const deadline = Date.now() + 20_000
  while (Date.now() < deadline) {
    for (const file of readdirSync(MAILS_DIR).filter((name) => name.endsWith('.eml')).sort().reverse()) {
      // Quoted-printable.
      const mail = readFileSync(join(MAILS_DIR, file), 'utf8').replaceAll('=\r\n', '').replaceAll('=3D', '=')
      const [found] = mail.match(new RegExp(`${origin}/verify\\?token=[\\w-]+`)) ?? []
      if (found) return found
    }
    await wait(50)
  }
  throw new Error('no mail came')
}

before(async () => {
  if (SCREENSHOTS) mkdirSync(SCREENSHOTS, { recursive: true })
  const json = { 'Content-Type': 'application/json' }
  const credentials = { username: process.env.ADMIN_USERNAME, password: process.env.ADMIN_PASSWORD }
  const login = { method: 'POST', headers: json, body: JSON.stringify(credentials) }
  const { token } = await (await fetch(`${server}/api/v1/auth/login`, login)).json()
  admin = { ...json, Authorization: `Bearer ${token}` }
  await change({ name: NAME })

  site = createServer(({ url }, response) => {
    const isPage = ['/', '/verify'].includes(new URL(url, origin).pathname)
    response.writeHead(isPage ? 200 : 404, { 'Content-Type': 'text/html' })
    response.end(isPage ? filledIn() : '')
  }).listen(port, 'localhost')
  await once(site, 'listening')
  const browser = await launch()
  page = await browser.newPage()
  page.on('console', (entry) => {
    if (!['error', 'warning'].includes(entry.type())) return
    const [status] = entry.text().match(/(?<=status of )4\d\d/) ?? []
    complaints.push(status ? `${status} ${new URL(entry.location().url).pathname.replace(/chk_\w+/, '{id}')}` : entry.text())
  })
  page.on('pageerror', (error) => complaints.push(`uncaught: ${error}`))
})

after(async () => {
  await quit()
  site?.closeAllConnections()
  site?.close()
})

test('the page has 155 lines of JavaScript at most, and makes no markup of texts', () => {
  const [, script] = source.match(/<script>\n([^]*)<\/script>/)
  assert.ok(script.trimEnd().split('\n').length <= 155)
  assert.doesNotMatch(script, /innerHTML|insertAdjacentHTML|document\.write|eval/)
})

test('a visitor sees the products, page by page', async () => {
  await page.goto(origin)
  await cards().nth(11).waitFor()
  assert.equal(await cards().count(), 12)
  assert.deepEqual(await cards().first().locator('span, strong').allInnerTexts(), [NAME, '$46.90'])
  await look('visitor')
  await press('More products')
  await cards().nth(23).waitFor()
})

test('a guest fills a cart, which is there when the page is loaded again', async () => {
  await addToCart()
  await addToCart()
  assert.equal(await pieces().inputValue(), '2')
  await total('subtotal', '$93.80')
  await look('cart')
  await pieces().fill('1')
  await pieces().press('Enter')
  await total('subtotal', '$46.90')
  await cards().nth(1).getByRole('button').click()
  const other = await cards().nth(1).locator('span').innerText()
  await pieces(other).fill('0')
  await pieces(other).press('Enter')
  await pieces(other).waitFor({ state: 'detached' })
  await page.reload()
  await total('subtotal', '$46.90')
  assert.equal(await pieces().inputValue(), '1')
})

test('the cart says what is missing, what shipping costs and what a code takes off', async () => {
  await page.locator('#missing', { hasText: 'The email address is missing.' }).waitFor()
  assert.equal(await page.getByRole('button', { name: 'Order', exact: true }).isVisible(), false)
  await fill('delivery', { ...address, Code: 'NOTHING' })
  await press('Update')
  await page.locator('#missing', { hasText: 'The code is not known.' }).waitFor()
  await look('code-refused')
  await page.getByLabel('Shipping').selectOption('Standard, $4.90')
  await total('total', '$51.80')
  await fill('delivery', { Code: 'welcome10' })
  await press('Update')
  await total('discount', '$4.69')
  await total('shipping', '$4.90')
  await total('tax, included', '$7.52')
  await total('total', '$47.11')
  await page.locator('#missing:empty').waitFor({ state: 'attached' })
  await look('ready')
})

test('a guest who is shown another total has to agree to it, and has an order then', async () => {
  await change({ price: '48.90' })
  await press('Order')
  await message('The checkout costs 48.91 now.')
  expected.push('409 /api/v1/checkouts/{id}/complete')
  await total('total', '$48.91')
  await page.locator('#missing', { hasText: 'costs 48.90 now. It was 46.90.' }).waitFor()
  await look('total-changed')
  await press('Order')
  await message('Thank you.')
  await change({ price: '46.90' })
  assert.equal(await page.locator('#cart').isVisible(), false)
  assert.equal(await storedCart(), undefined)
  await look('guest-ordered')
})

test('a cart that has ended elsewhere makes room for a new one', async () => {
  await addToCart()
  const cancelled = { method: 'POST', headers: admin }
  assert.equal((await fetch(`${server}/api/v1/checkouts/${await storedCart()}/cancel`, cancelled)).status, 200)
  await cards().first().getByRole('button').click()
  await message('The checkout is cancelled, and only an open one can be changed.')
  expected.push('409 /api/v1/checkouts/{id}/items/1')
  await page.locator('#cart').waitFor({ state: 'hidden' })
  assert.equal(await storedCart(), undefined)
})

let mailed
test('who registers is sent a mail, whose link leads to the page', async () => {
  await page.getByText('Log in or register', { exact: true }).click()
  await fill('register', { Name: person.name, Email: person.email })
  await press('Register')
  await message('We have sent you a mail with a link.')
  await look('registered')
  mailed = await link()
  await page.goto(mailed)
  await page.locator('#verify').waitFor()
  await look('link')
})

test('a password that is easily guessed is refused in the words of the server', async () => {
  await fill('verify', { Password: 'password1234' })
  await press('Go on')
  await message('password: is easily guessed.')
  expected.push('422 /api/v1/auth/verify')
  await look('guessed')
})

test('a good password ends the registration, and the code leaves the address', async () => {
  await fill('verify', { Password: person.password })
  await press('Go on')
  await page.getByText(person.name).waitFor()
  assert.equal(page.url(), `${origin}/`)
  await page.locator('#message:empty').waitFor({ state: 'attached' })
  await orders().waitFor()
  assert.match(await orders().innerText(), /^Order \d+, placed: 1 × Skillet <b>26 cm<\/b>\s+\$48\.91$/)
  await look('member')
})

test('a wrong password is refused in the words of the server, and the right one is not', async () => {
  await press('Log out')
  await page.getByText('Log in or register', { exact: true }).click()
  await logIn('not the password')
  await message('The username or the password is wrong.')
  expected.push('401 /api/v1/auth/login')
  await look('wrong-password')
  const shown = page.waitForRequest(`${server}/api/v1/me`)
  await logIn(person.password)
  await page.getByText(person.name).waitFor()
  const caching = await (await shown).headerValue('Cache-Control')
  assert.equal(caching, 'no-cache', 'the browser keeps nothing that is a person\'s')
})

test('the cart of somebody who is logged in goes with them, and comes back', async () => {
  await addToCart()
  await press('Log out')
  await page.locator('#cart').waitFor({ state: 'hidden' })
  expected.push('404 /api/v1/checkouts/{id}')
  assert.equal(await storedCart(), undefined)
  await logIn(person.password)
  await total('subtotal', '$46.90')
})

test('an order whose response was lost is placed once', async () => {
  await fill('delivery', address)
  await press('Update')
  await page.getByLabel('Shipping').selectOption('Standard, $4.90')
  let lost = false
  await page.route(`${server}/api/v1/checkouts/*/complete`, async (route) => {
    if (lost || route.request().method() !== 'POST') return route.continue()
    lost = true
    assert.equal((await route.fetch()).status(), 201)
    await route.abort()
  })
  await press('Order')
  await message('The shop does not respond.')
  expected.push('Failed to load resource: net::ERR_FAILED')
  await look('lost')
  await press('Order')
  await message('Thank you.')
  assert.equal(await orders().count(), 2)
  assert.match(await orders().first().innerText(), /^Order \d+, placed: 1 × Skillet <b>26 cm<\/b>\s+\$51\.80$/)
  await look('order')
})

test('the session lasts when the page is loaded again, until it is ended', async () => {
  await page.reload()
  await page.getByText(person.name).waitFor()
  await orders().first().waitFor()
  const headers = { Authorization: `Bearer ${await page.evaluate(() => sessionStorage.token)}` }
  assert.equal((await fetch(`${server}/api/v1/auth/logout`, { method: 'POST', headers })).status, 204)
  await page.reload()
  await message('A valid bearer token is required.')
  await page.locator('#guest').waitFor()
  expected.push('401 /api/v1/me')
  assert.equal(await page.evaluate(() => sessionStorage.token), undefined)
  await look('ended')
})

test('a link that was used leads to nobody', async () => {
  await page.goto(mailed)
  await fill('verify', { Password: person.password })
  await press('Go on')
  await message('token: must be from a mail of the last hours, and not used yet')
  expected.push('422 /api/v1/auth/verify')
})

test('a visitor who asks too often is told how long to wait', async () => {
  key = process.env.LIMITED_KEY
  for (let visit = 0; visit < 2; visit++) {
    await page.goto(origin)
    await cards().first().waitFor()
  }
  await page.goto(origin)
  await message(/^Please try again in \d+ seconds\.$/)
  expected.push('429 /api/v1/products')
  await look('too-often')
})

test('the console has nothing but what was to be expected', () => {
  assert.deepEqual(complaints, expected)
})
