"use client";

import type { ReactNode } from "react";
import { useFormStatus } from "react-dom";

interface SubmitButtonProps {
  children: ReactNode;
  pendingText: string;
  className?: string;
}

export function SubmitButton({ children, pendingText, className }: SubmitButtonProps) {
  const { pending } = useFormStatus();
  return (
    <button type="submit" className={className} aria-disabled={pending} onClick={(event) => pending && event.preventDefault()}>
      {pending ? pendingText : children}
    </button>
  );
}
