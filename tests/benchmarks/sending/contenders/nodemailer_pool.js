// nodemailer's pool. The job is on standard input, the letters too; one line of JSON comes out.
"use strict";

const fs = require("fs");
const nodemailer = require("nodemailer");

function filled(text, number) {
  const long = String(number).padStart(8, "0");
  return text.replaceAll("{number:08}", long).replaceAll("{number}", number);
}

async function main() {
  const { job, sink, letters } = JSON.parse(fs.readFileSync(0, "utf8"));
  const start = process.hrtime.bigint();
  const pool = nodemailer.createTransport({
    pool: true,
    maxConnections: Number(process.argv[2]),
    maxMessages: Infinity,
    host: "localhost",
    name: "localhost",
    port: job.port,
    requireTLS: true,
    tls: { ca: fs.readFileSync(job.ca_file) },
    auth: { type: "OAuth2", user: job.user, accessToken: job.token },
  });
  // As its documentation has it: the next message is built whenever the pool has room.
  let next = 0;
  await new Promise((resolve, reject) => {
    let done = 0;
    pool.on("idle", () => {
      while (pool.isIdle() && next < job.count) {
        const number = next++;
        pool
          .sendMail({
            from: job.user,
            to: sink,
            subject: filled(letters.subject, number),
            text: filled(letters.text, number),
            html: filled(letters.html, number),
          })
          .then(() => ++done === job.count && resolve())
          .catch(reject);
      }
    });
  });
  pool.close();
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  let peak = null;
  if (fs.existsSync("/proc/self/status")) {
    peak = Number(/VmHWM:\s+(\d+)/.exec(fs.readFileSync("/proc/self/status", "utf8"))[1]);
  }
  console.log(JSON.stringify({ done: { count: job.count }, seconds, peak }));
}

main().catch((error) => {
  console.error(String(error));
  process.exit(1);
});
