// A job that fails, what its page says about it, and its rerun from where it failed.
import { readFileSync } from "node:fs";
import { clip, expect, jobEnds, node, status, test } from "./gantry";

test("a source that is no video fails with its cause and goes on from there once it is one", async ({ page, media }) => {
  media.serve(Buffer.from("This is a text, whatever its name says.\n".repeat(200)));
  await page.goto("/jobs/new");
  await page.getByLabel("Source").fill(media.url);
  await page.getByRole("button", { name: "Submit job" }).click();
  await page.waitForURL(/\/jobs\/[0-9a-f-]{36}$/);

  const verdict = page.getByRole("heading", { name: /^Failed in Inspect: Source\.NotMedia/ });
  await expect(verdict).toBeVisible(jobEnds);
  await expect(node(page, "Inspect", "failed")).toBeVisible();
  await expect(status(page)).toHaveText(/Failed/);
  await expect(page.getByTestId("job-error").locator(".cause")).not.toBeEmpty();

  media.serve(readFileSync(clip));
  await page.getByRole("button", { name: "Rerun: redrive from Inspect" }).click();
  await expect(verdict).toBeHidden(jobEnds);
  await expect(node(page, "Publish", "succeeded")).toBeVisible(jobEnds);
  await expect(status(page)).toHaveText(/Succeeded/);
});

test.describe("a form that is not valid", () => {
  test.use({ refusals: ["400"] });

  test("says what to do and keeps what was typed", async ({ page }) => {
    await page.goto("/jobs/new");
    await page.getByLabel("Title").fill("Nothing to do");
    const answered = page.waitForResponse((response) => response.request().method() === "POST");
    await page.evaluate(() => document.querySelector("form")?.setAttribute("novalidate", ""));
    await page.getByRole("button", { name: "Submit job" }).click();
    expect((await answered).status()).toBe(400);
    await expect(page.getByRole("alert")).toContainText("Source");
    await expect(page.getByLabel("Title")).toHaveValue("Nothing to do");
  });
});
