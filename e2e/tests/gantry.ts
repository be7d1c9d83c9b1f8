// What every test stands on: a page that may not log an error, the sample clip, jobs that have ended, and a
// media server whose content a test decides.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test as base, type APIRequestContext, type Page } from "@playwright/test";

/** A clip with picture and sound, made by `cargo xtask`. */
export const clip = process.env.GANTRY_CLIP ?? "";

/** The states of the pipeline that a job which succeeds goes through. */
export const states = [
  "Inspect", "Transfer", "TransferPart", "Assemble", "Process", "Probe", "Poster", "Ladder", "Renditions",
  "Rendition", "Package", "Audio", "Publish",
];

/** The longest that a job of the sample clip may take on a busy machine. */
export const jobEnds = { timeout: 150_000 };

export interface MediaServer {
  url: string;
  serve(content: Buffer): void;
}

export const test = base.extend<{ refusals: string[]; failOnConsole: void; media: MediaServer }>({
  // Statuses of refusals that a test provokes: Chromium writes every such answer to the console.
  refusals: [[], { option: true }],

  // Every page of every test: an error in the console fails it, whatever else it shows.
  failOnConsole: [
    async ({ context, refusals }, use) => {
      const errors: string[] = [];
      context.on("console", (message) => {
        const provoked = refusals.some((status) => message.text().includes(`with a status of ${status} `));
        if (message.type() === "error" && !provoked) {
          errors.push(`${message.text()} (${message.location().url})`);
        }
      });
      context.on("weberror", (error) => errors.push(String(error.error())));
      await use();
      expect(errors, "errors in the browser's console").toEqual([]);
    },
    { auto: true },
  ],

  // An http server of one address, with ranges (RFC 9110, section 14), as a CDN has them.
  media: async ({}, use) => {
    let content = Buffer.alloc(0);
    const server = createServer((request, response) => {
      const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
      response.setHeader("accept-ranges", "bytes");
      response.setHeader("content-type", "video/mp4");
      let body = content;
      if (range) {
        const last = Math.min(range[2] ? Number(range[2]) : content.length - 1, content.length - 1);
        body = content.subarray(Number(range[1]), last + 1);
        response.statusCode = 206;
        response.setHeader("content-range", `bytes ${range[1]}-${last}/${content.length}`);
      }
      response.setHeader("content-length", body.length);
      response.end(request.method === "HEAD" ? undefined : body);
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    const { port } = server.address() as AddressInfo;
    await use({
      url: `http://127.0.0.1:${port}/clip.mp4`,
      serve: (next) => {
        content = next;
      },
    });
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  },
});

/** A state's node in the graph once it has a status: `succeeded`, `running`, `failed`, `idle`. */
export function node(page: Page, state: string, status: string) {
  return page.locator(`svg.graph a[data-state="${state}"][data-status="${status}"]`);
}

/** The job's status as its head says it. */
export function status(page: Page) {
  return page.getByTestId("job-status");
}

/** The id of a job that ended so; submits one through the API if there is none yet. */
export async function jobThat(ended: "succeeded" | "failed", request: APIRequestContext): Promise<string> {
  const list = await request.get(`/api/v1/jobs?status=${ended}`);
  expect(list.status()).toBe(200);
  const found = (await list.json()).jobs[0];
  if (found) {
    return found.id;
  }
  const file =
    ended === "succeeded"
      ? { name: "clip.mp4", mimeType: "video/mp4", buffer: readFileSync(clip) }
      : { name: "notes.mp4", mimeType: "video/mp4", buffer: Buffer.from("This is a text.\n".repeat(64)) };
  const submitted = await request.post("/jobs", { multipart: { pipeline: "media", file }, maxRedirects: 0 });
  expect(submitted.status()).toBe(303);
  const id = submitted.headers()["location"].split("/").pop() ?? "";
  await expect
    .poll(async () => (await (await request.get(`/api/v1/jobs/${id}`)).json()).job.status, jobEnds)
    .toBe(ended);
  return id;
}

export { expect };
