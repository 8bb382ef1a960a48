import { cronJobs } from "convex/server";
import { internal } from "./_generated/api";

const crons = cronJobs();

crons.daily("delete expired sessions and verification tokens", { hourUTC: 3, minuteUTC: 20 }, internal.cleanup.expired);

export default crons;
