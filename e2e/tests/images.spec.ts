// Images and what their cold starts cost.
import { expect, test } from "./gantry";

test("the two images that were deployed stand side by side", async ({ page }) => {
  await page.goto("/images");
  const images = page.getByTestId("image");
  await expect(images).toHaveCount(2);
  const digests = await images.evaluateAll((all) => all.map((image) => image.getAttribute("data-digest")));
  expect(new Set(digests).size).toBe(2);
  await expect(images.filter({ hasText: "Live" })).toHaveCount(1);
  await expect(images.first()).toContainText("gantry-inspect");
});

test("the cold starts of two images are compared", async ({ page }) => {
  await page.goto("/cold-starts");
  const comparison = page.getByTestId("comparison");
  await expect(comparison.locator(".side")).toHaveCount(2);
  await expect(comparison.locator(".verdict")).toBeVisible();

  // The other way round, by the form.
  const base = comparison.getByRole("combobox").nth(0);
  const candidate = comparison.getByRole("combobox").nth(1);
  const before = [await base.inputValue(), await candidate.inputValue()];
  expect(before[0]).not.toBe(before[1]);
  await base.selectOption(before[1]);
  await candidate.selectOption(before[0]);
  await comparison.getByRole("button", { name: "Compare" }).click();
  await expect(page).toHaveURL(/base=sha256/);
  expect([await base.inputValue(), await candidate.inputValue()]).toEqual([before[1], before[0]]);

  // Every function started cold on both images.
  for (const name of ["gantry-inspect", "gantry-rendition", "gantry-publish"]) {
    await expect(page.locator(`[data-testid="cold-start-row"][data-function="${name}"]`)).toHaveCount(2);
  }
});
