// Every page, light and dark, wide and narrow: what axe finds, and nothing that sticks out.
import AxeBuilder from "@axe-core/playwright";
import { expect, jobThat, test } from "./gantry";

for (const colorScheme of ["light", "dark"] as const) {
  test(`no page breaks an accessibility rule (${colorScheme})`, async ({ page, request }) => {
    await page.emulateMedia({ colorScheme });
    for (const path of await paths(request)) {
      await page.goto(path);
      const found = await new AxeBuilder({ page }).analyze();
      const broken = found.violations.map(
        (violation) => `${path}: ${violation.id} (${violation.impact}): ${violation.nodes.map((one) => one.html).join(" ")}`,
      );
      expect(broken).toEqual([]);
    }
  });
}

test("no page is wider than a phone", async ({ page, request }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  for (const path of await paths(request)) {
    await page.goto(path);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(width, path).toBeLessThanOrEqual(390);
  }
});

async function paths(request: Parameters<typeof jobThat>[1]): Promise<string[]> {
  const succeeded = await jobThat("succeeded", request);
  const failed = await jobThat("failed", request);
  const preview = await request.post("/api/v1/bulks", {
    data: { what: { kind: "rerun", filter: {} }, canary: true, reason: "to be looked at" },
  });
  const bulk = (await preview.json()).id;
  const bulks = ["/bulks", `/bulks/${bulk}`, "/bulks/new?kind=submit", "/bulks/new?kind=rerun&status=failed"];
  return [...bulks, "/health", "/jobs?status=failed&text=mp4", "/jobs", "/jobs/new", `/jobs/${succeeded}`, `/jobs/${succeeded}?state=Rendition`, `/jobs/${failed}`, "/images", "/cold-starts"];
}
