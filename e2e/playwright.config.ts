// How the pages are tested: in Debian's Chromium, against the product that `cargo xtask test` started.
import { defineConfig } from "@playwright/test";

const baseURL = process.env.GANTRY_URL;
if (!baseURL) {
  throw new Error("GANTRY_URL is not set: run `cargo xtask e2e`, which starts what is tested");
}

export default defineConfig({
  testDir: "tests",
  // One machine runs the browser, the server and ffmpeg: side by side they would only slow each other down.
  workers: 1,
  fullyParallel: false,
  forbidOnly: true,
  retries: 0,
  // A whole video goes through the pipeline within one test.
  timeout: 180_000,
  expect: { timeout: 20_000 },
  reporter: [["list"]],
  outputDir: "test-results",
  use: {
    baseURL,
    trace: "retain-on-failure",
    screenshot: "only-on-failure",
    launchOptions: {
      executablePath: process.env.GANTRY_CHROMIUM ?? "/usr/bin/chromium",
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--autoplay-policy=no-user-gesture-required",
      ],
    },
  },
});
