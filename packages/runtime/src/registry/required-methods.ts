export { requiredMethods } from "@winnow/core";
