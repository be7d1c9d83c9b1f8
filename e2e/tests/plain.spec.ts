// The same pages with script off: everything that is content is there, and forms work.
import { clip, expect, jobEnds, jobThat, node, status, test } from "./gantry";

test.use({ javaScriptEnabled: false });

test("a job's page is complete", async ({ page, request }) => {
  const id = await jobThat("succeeded", request);
  await page.goto("/jobs");
  await page.locator(`a[href="/jobs/${id}"]`).first().click();
  await expect(status(page)).toHaveText(/Succeeded/);
  await expect(node(page, "Publish", "succeeded")).toBeVisible();
  await expect(page.getByTestId("artifact")).not.toHaveCount(0);
  await node(page, "Inspect", "succeeded").click();
  await expect(page.getByRole("heading", { name: /^Inspect/ })).toBeVisible();
  await expect(page.getByTestId("state-detail").getByText("part_mib").first()).toBeVisible();
});

test("a failed job says why and offers its rerun", async ({ page, request }) => {
  const id = await jobThat("failed", request);
  await page.goto(`/jobs/${id}`);
  await expect(page.getByRole("heading", { name: /^Failed in Inspect/ })).toBeVisible();
  await expect(page.getByRole("button", { name: "Rerun: redrive from Inspect" })).toBeVisible();
});

test("images and cold starts are there", async ({ page }) => {
  await page.goto("/images");
  await expect(page.getByTestId("image")).toHaveCount(2);
  await page.goto("/cold-starts");
  await expect(page.locator(".side")).toHaveCount(2);
  await expect(page.getByTestId("cold-start-row")).not.toHaveCount(0);
});

test("a file is submitted, and loading anew shows how far it is", async ({ page }) => {
  await page.goto("/jobs/new");
  await page.getByLabel("File").setInputFiles(clip);
  await page.getByRole("button", { name: "Submit job" }).click();
  await expect(page).toHaveURL(/\/jobs\/[0-9a-f-]{36}$/);
  await expect(async () => {
    await page.reload();
    await expect(status(page)).toHaveText(/Succeeded/, { timeout: 1_000 });
  }).toPass(jobEnds);
});
