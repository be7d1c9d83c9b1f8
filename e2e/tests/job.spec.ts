// A video through the page: submitted, watched live, every artifact opened.
import { createHash } from "node:crypto";
import { clip, expect, jobEnds, node, states, status, test } from "./gantry";

test("a video submitted through the page goes green live, and its artifacts open", async ({ page, request }) => {
  await page.goto("/jobs");
  await page.getByRole("link", { name: "New job" }).first().click();
  await page.getByLabel("File").setInputFiles(clip);
  await page.getByLabel("Title").fill("Sample from the browser");
  await page.getByRole("button", { name: "Submit job" }).click();
  await page.waitForURL(/\/jobs\/[0-9a-f-]{36}$/);
  // Only a page that was not loaded anew still has this mark at the end.
  await page.evaluate(() => document.documentElement.setAttribute("data-loaded-once", ""));

  await test.step("states are seen at work", async () => {
    await expect(page.locator(`svg.graph a[data-status="running"]`).first()).toBeVisible(jobEnds);
  });
  for (const state of states) {
    await expect(node(page, state, "succeeded")).toBeVisible(jobEnds);
  }
  // Error handling that was not needed is not drawn.
  await expect(status(page)).toHaveText(/Succeeded/);
  await expect(page.locator("html[data-loaded-once]")).toHaveCount(1);

  await test.step("poster and waveform are pictures", async () => {
    for (const name of ["Poster", "Waveform"]) {
      const picture = page.getByRole("img", { name: `${name}, full size` });
      await picture.scrollIntoViewIfNeeded();
      await expect.poll(() => picture.evaluate((image: HTMLImageElement) => image.naturalWidth)).toBeGreaterThan(100);
    }
  });

  await test.step("a rendition plays", async () => {
    const video = page.locator("video");
    await video.scrollIntoViewIfNeeded();
    await video.evaluate((element: HTMLVideoElement) => {
      element.muted = true;
      return element.play();
    });
    await expect.poll(() => video.evaluate((element: HTMLVideoElement) => element.currentTime)).toBeGreaterThan(0.3);
    expect(await video.evaluate((element: HTMLVideoElement) => element.videoHeight)).toBeGreaterThan(0);
  });

  await test.step("every file is what its checksum says", async () => {
    const files = page.getByTestId("artifact");
    const count = await files.count();
    expect(count).toBeGreaterThan(8);
    for (let at = 0; at < count; at += 1) {
      const row = files.nth(at);
      const address = await row.getByRole("rowheader").getByRole("link").getAttribute("href");
      const checksum = await row.locator("td.checksum code").getAttribute("title");
      const answer = await request.get(address ?? "");
      expect(answer.status(), `${address}`).toBe(200);
      expect(createHash("sha256").update(await answer.body()).digest("hex"), `${address}`).toBe(checksum);
    }
  });

  await test.step("a chosen state shows its input and output", async () => {
    await node(page, "Probe", "succeeded").click();
    await expect(page).toHaveURL(/state=Probe/);
    await expect(page.getByRole("heading", { name: /^Probe/ })).toBeVisible();
    await expect(page.getByText("Input", { exact: true }).first()).toBeVisible();
    await expect(page.getByText("Output", { exact: true }).first()).toBeVisible();
  });

  await page.goto("/jobs");
  const row = page.getByRole("row").filter({ hasText: "Sample from the browser" }).first();
  await expect(row).toContainText("Succeeded");
});
