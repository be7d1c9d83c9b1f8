// The peer's side of `transitions`: for each line with a number, so many executions, answered with their CPU time in ns.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { StateMachine } from "aws-local-stepfunctions";

const { name, version } = JSON.parse(readFileSync("node_modules/aws-local-stepfunctions/package.json", "utf8"));
const machine = new StateMachine(JSON.parse(process.env.DEFINITION));
console.log(`npm ${name} ${version}`);

for await (const line of createInterface({ input: process.stdin })) {
  const before = process.cpuUsage();
  for (let execution = 0; execution < Number(line); execution += 1) {
    const output = await machine.run({ n: 0 }).result;
    if (output.n !== 1000) {
      throw new Error(`the execution did not count to 1,000: ${JSON.stringify(output)}`);
    }
  }
  const { user, system } = process.cpuUsage(before);
  console.log((user + system) * 1000);
}
