// The browser of a test.
//
// CHROMIUM   /usr/bin/chromium unless said otherwise

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

let profile, browser

// Starts it, with a new profile.
export async function launch(options) {
  profile = mkdtempSync(join(tmpdir(), 'boxcar-browser.'))
  browser = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    // What the browser asks for on its own account would be taken for the page's.
    args: [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
    ],
    ...options,
  })
  browser.setDefaultTimeout(20_000)
  return browser
}

// Ends it, if it was started.
export async function quit() {
  await browser?.close()
  if (profile) rmSync(profile, { recursive: true, force: true })
}
