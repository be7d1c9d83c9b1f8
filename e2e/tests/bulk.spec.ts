// Bulk operations through the pages: previewed, begun, followed, with an outcome for every item.
import { expect, jobEnds, jobThat, test } from "./gantry";

test("a CSV becomes jobs once its preview was seen", async ({ page, request }) => {
  const id = await jobThat("succeeded", request);
  const { input } = await (await request.get(`/api/v1/jobs/${id}`)).json();
  await page.goto("/bulks");
  await page.getByRole("link", { name: "Submit many jobs…" }).click();
  await page.getByLabel("CSV").fill(`source,title\n${input.source},From a list\nftp://nowhere.example/b.mp4,Wrong\n`);
  await page.getByLabel(/^Why/).fill("a test");
  await page.getByRole("button", { name: "Preview" }).click();
  await expect(page.getByTestId("bulk-state")).toHaveAttribute("data-state", "draft");
  await expect(page.getByText("does this to 1 job. 1 is not eligible.")).toBeVisible();
  await expect(page.getByTestId("bulk-item").filter({ hasText: "ftp:// is not supported" })).toHaveCount(1);
  await page.getByRole("button", { name: "Submit 1 job" }).click();
  // The page follows the server.
  await expect(page.getByTestId("bulk-state")).toHaveAttribute("data-state", "done", jobEnds);
  const done = page.getByTestId("bulk-item").filter({ hasText: "From a list" });
  await expect(done).toContainText("Succeeded");
  await done.getByRole("link").click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("From a list");
  await page.goto("/jobs?text=from+a+LIST");
  await expect(page.getByTestId("job-row")).toHaveCount(1);
});

test("what lies under a prefix in S3 becomes jobs once its preview was seen", async ({ page, request }) => {
  const id = await jobThat("succeeded", request);
  const { input } = await (await request.get(`/api/v1/jobs/${id}`)).json();
  const folder = input.source.slice(0, input.source.lastIndexOf("/") + 1);
  expect(folder).toMatch(/^s3:\/\/.+\/.+\/$/);
  await page.goto("/bulks/new?kind=submit");
  await page.getByLabel("Prefix in S3").fill(folder);
  await page.getByLabel("Only keys that end with").fill(".mp4");
  await page.getByLabel(/^Why/).fill("what a camera left there");
  await page.getByRole("button", { name: "Preview" }).click();
  await expect(page.getByTestId("bulk-state")).toHaveAttribute("data-state", "draft");
  await expect(page.getByText("does this to 1 job.")).toBeVisible();
  await page.getByRole("button", { name: "Submit 1 job" }).click();
  await expect(page.getByTestId("bulk-state")).toHaveAttribute("data-state", "done", jobEnds);
  const done = page.getByTestId("bulk-item");
  await expect(done).toContainText("Succeeded");
  await done.getByRole("link").click();
  await expect(page.getByText("what a camera left there")).toBeVisible();
});

test.describe("with refusals", () => {
  test.use({ refusals: ["400"] });

  test("what was typed stays when it is refused", async ({ page }) => {
    await page.goto("/bulks/new?kind=submit");
    const csv = page.getByLabel("CSV");
    await csv.fill("source,title\ns3://in/a.mp4,One,too many\n");
    await page.getByLabel(/^Why/).fill("a test");
    await page.getByRole("button", { name: "Preview" }).click();
    await expect(page.getByRole("alert")).toContainText("Line 2 of the CSV has 3 cells; the header has 2.");
    await expect(csv).toHaveValue("source,title\ns3://in/a.mp4,One,too many\n");
    await expect(page.getByLabel(/^Why/)).toHaveValue("a test");
    await csv.fill("");
    await page.getByLabel("Prefix in S3").fill("s3://nowhere-at-all/folder/");
    await page.getByRole("button", { name: "Preview" }).click();
    await expect(page.getByRole("alert")).toContainText("nowhere-at-all");
    await expect(page.getByLabel("Prefix in S3")).toHaveValue("s3://nowhere-at-all/folder/");
  });
});

test("another input is a new execution once its difference was seen", async ({ page, request }) => {
  const id = await jobThat("failed", request);
  await page.goto(`/jobs/${id}`);
  await page.getByText("Start a new execution with another input…").click();
  const input = page.getByLabel("Input (JSON)");
  const edited = { ...JSON.parse(await input.inputValue()), max_height: 720 };
  await input.fill(JSON.stringify(edited));
  await page.getByRole("button", { name: "Preview the difference" }).click();
  await expect(page.getByTestId("bulk-item")).toContainText("/max_height: 1080 → 720");
  await input.page().getByRole("button", { name: "Rerun 1 job" }).click();
  // It is the same file, so it fails again.
  await expect(page.getByTestId("bulk-state")).toHaveAttribute("data-state", "done", jobEnds);
  await expect(page.getByTestId("bulk-item")).toContainText("Source.NotMedia in Inspect");
  await page.goto(`/jobs/${id}`);
  const lineage = page.locator(".lineage > ol > li");
  await expect(lineage).not.toHaveCount(0);
  await expect(lineage.last()).toContainText("Started anew by a page");
  await expect(lineage.last()).toContainText("/max_height: 1080 → 720");
});
